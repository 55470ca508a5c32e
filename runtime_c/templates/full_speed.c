        /* Loading is slow enough with 1/@{load} of the clock; computing takes what it may */
        MXC_GCR->pclkdiv = (MXC_GCR->pclkdiv & ~MXC_F_GCR_PCLKDIV_CNNCLKDIV) |
                           MXC_S_GCR_PCLKDIV_CNNCLKDIV_DIV@{run};
