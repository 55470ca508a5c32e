/* Expected data memory: address, mask, number of words, words; address 0 ends the list */
static const uint32_t sample_output[] = SAMPLE_OUTPUT;

/* Compare the data memory with the known answer */
static int check_output(void)
{
    const uint32_t *run = sample_output;

    while (run[0] != 0) {
        const volatile uint32_t *memory = (const volatile uint32_t *)(uintptr_t)run[0];
        const uint32_t mask = run[1];
        const uint32_t words = run[2];

        run = &run[3];
        for (uint32_t i = 0; i < words; i++) {
            const uint32_t actual = memory[i] & mask;

            if (actual != run[i]) {
                printf("Data mismatch at %p: expected 0x%08lx, read 0x%08lx\n",
                       (const void *)(uintptr_t)&memory[i], (unsigned long)run[i],
                       (unsigned long)actual);
                return CNN_FAIL;
            }
        }
        run = &run[words];
    }
    return CNN_OK;
}

