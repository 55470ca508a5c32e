/* Stand-in for the vendor SDK: the power registers of the CNN accelerator. */

#ifndef GCFR_REGS_H
#define GCFR_REGS_H

#include <stdint.h>

typedef struct {
    volatile uint32_t reg0; /* power of the groups */
    volatile uint32_t reg1; /* power of the kernel memories */
    volatile uint32_t reg2; /* isolation */
    volatile uint32_t reg3; /* reset */
} mxc_gcfr_regs_t;

#define MXC_GCFR ((mxc_gcfr_regs_t *)(uintptr_t)0x40005800u)

#endif /* GCFR_REGS_H */
