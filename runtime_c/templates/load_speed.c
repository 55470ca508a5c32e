        MXC_GCR->pclkdiv = (MXC_GCR->pclkdiv & ~MXC_F_GCR_PCLKDIV_CNNCLKDIV) |
                           MXC_S_GCR_PCLKDIV_CNNCLKDIV_DIV@{load};
