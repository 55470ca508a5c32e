
    /* Give a debugger time to attach before anything sleeps */
    printf("Waiting...\n");
    MXC_Delay(MXC_DELAY_SEC(@{seconds}));
