    MXC_ICC_Enable(MXC_ICC0);
    MXC_SYS_Clock_Select(MXC_SYS_CLOCK_IPO);
@{enable_pll}    SystemCoreClockUpdate();
@{debug_wait}