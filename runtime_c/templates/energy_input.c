
    printf("Measuring input loading...\n");
    CNN_START;
    for (int i = 0; i < ENERGY_REPEATS; i++) {
        load_input();
    }
    CNN_COMPLETE;
