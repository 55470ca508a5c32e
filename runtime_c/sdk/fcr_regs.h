/* Stand-in for the vendor SDK: the registers that say where the RISC-V core starts. */

#ifndef FCR_REGS_H
#define FCR_REGS_H

#include <stdint.h>

typedef struct {
    volatile uint32_t urvbootaddr;
    volatile uint32_t urvctrl;
} mxc_fcr_regs_t;

#define MXC_FCR ((mxc_fcr_regs_t *)(uintptr_t)0x40000800u)

#endif /* FCR_REGS_H */
