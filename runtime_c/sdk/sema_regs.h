/* Stand-in for the vendor SDK: the semaphores, by which the cores interrupt each other. */

#ifndef SEMA_REGS_H
#define SEMA_REGS_H

#include <stdint.h>

typedef struct {
    volatile uint32_t irq0; /* to the Arm core */
} mxc_sema_regs_t;

#define MXC_SEMA ((mxc_sema_regs_t *)(uintptr_t)0x4003E000u)

#define MXC_F_SEMA_IRQ0_EN 0x1u
#define MXC_F_SEMA_IRQ0_CM4_IRQ 0x10000u

#endif /* SEMA_REGS_H */
