/* Stand-in for the vendor SDK: what may wake the chip. */

#ifndef PWRSEQ_REGS_H
#define PWRSEQ_REGS_H

#include <stdint.h>

typedef struct {
    volatile uint32_t lppwen;
} mxc_pwrseq_regs_t;

#define MXC_PWRSEQ ((mxc_pwrseq_regs_t *)(uintptr_t)0x40006800u)
#define MXC_F_PWRSEQ_LPPWEN_CPU1 (0x1u << 10)

#endif /* PWRSEQ_REGS_H */
