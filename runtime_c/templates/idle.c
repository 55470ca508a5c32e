    printf("Measuring system idle power...\n");
    SYS_START;
    MXC_Delay(MXC_DELAY_SEC(1));
    SYS_COMPLETE;

