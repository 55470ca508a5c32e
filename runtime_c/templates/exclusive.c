    MXC_FCR->urvctrl |= 1; /* the SRAM of the RISC-V core is its own */
