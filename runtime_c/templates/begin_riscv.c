    MXC_ICC_Enable(MXC_ICC1);
