        /* Loading is slow enough with a quarter of the clock; computing takes all of it */
        MXC_GCR->pclkdiv = (MXC_GCR->pclkdiv & ~MXC_F_GCR_PCLKDIV_CNNCLKDIV) |
                           MXC_S_GCR_PCLKDIV_CNNCLKDIV_DIV1;
