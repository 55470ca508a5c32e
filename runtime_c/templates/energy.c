/* How often each step is repeated, for a power monitor to see it */
#ifndef ENERGY_REPEATS
#define ENERGY_REPEATS 100
#endif

/* Run each step alone between the signals of the accelerator */
static void measure_energy(void)
{
    printf("Measuring weight loading...\n");
    CNN_START;
    for (int i = 0; i < ENERGY_REPEATS; i++) {
        (void)cnn_load_weights();
    }
    CNN_COMPLETE;
@{input}
    printf("Measuring input loading and inference...\n");
    CNN_START;
    for (int i = 0; i < ENERGY_REPEATS; i++) {
@{inference}
    }
    CNN_COMPLETE;
}

