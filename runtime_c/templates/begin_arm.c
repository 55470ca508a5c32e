    MXC_ICC_Enable(MXC_ICC0);
    MXC_SYS_Clock_Select(MXC_SYS_CLOCK_IPO);
@{enable_pll}    SystemCoreClockUpdate();

    /* Give a debugger time to attach before anything sleeps */
    printf("Waiting...\n");
    MXC_Delay(MXC_DELAY_SEC(2));
