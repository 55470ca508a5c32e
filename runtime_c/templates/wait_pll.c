
    if (clock_source == MXC_S_GCR_PCLKDIV_CNNCLKSEL_IPLL) {
        while ((MXC_GCR->ipll_ctrl & MXC_F_GCR_IPLL_CTRL_RDY) == 0) {
        }
    }
