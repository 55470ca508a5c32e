/* Stand-in for the vendor SDK on the emulated machine: the functions that generated code calls. */

#include <stdint.h>

#include "board.h"
#include "led.h"
#include "machine.h"
#include "mxc.h"

#define IPLL_ON (MXC_F_GCR_IPLL_CTRL_EN | MXC_F_GCR_IPLL_CTRL_RDY)

static uint32_t started_us;

#if defined(__riscv)
void NVIC_EnableIRQ(IRQn_Type irqn)
{
    *MACHINE_RISCV_IRQ |= UINT32_C(1) << (uint32_t)irqn;
}

void NVIC_EnableEVENT(IRQn_Type irqn)
{
    (void)irqn;
}

void NVIC_ClearPendingIRQ(IRQn_Type irqn)
{
    (void)irqn;
}

void NVIC_ClearPendingEVENT(IRQn_Type irqn)
{
    (void)irqn;
}
#else
void MXC_NVIC_SetVector(IRQn_Type irqn, void (*irq_handler)(void))
{
    machine_vectors[FIRST_IRQ + (uint32_t)irqn] = (uint32_t)(uintptr_t)irq_handler;
    *NVIC_ISER |= UINT32_C(1) << (uint32_t)irqn;
}
#endif

int MXC_SYS_Clock_Select(mxc_sys_system_clock_t clock)
{
    MXC_GCR->clkctrl = (uint32_t)clock;
    return 0;
}

void MXC_SYS_ClockEnable(mxc_sys_periph_clock_t clock)
{
    MXC_GCR->pclkdis &= ~(UINT32_C(1) << (uint32_t)clock);
}

void MXC_SYS_ClockDisable(mxc_sys_periph_clock_t clock)
{
    MXC_GCR->pclkdis |= UINT32_C(1) << (uint32_t)clock;
}

void SystemCoreClockUpdate(void)
{
}

void MXC_ICC_Enable(mxc_icc_regs_t *icc)
{
    icc->ctrl = 1;
}

void MXC_TMR_SW_Start(mxc_tmr_regs_t *tmr)
{
    started_us = tmr->cnt;
}

unsigned int MXC_TMR_SW_Stop(mxc_tmr_regs_t *tmr)
{
    return (unsigned int)(tmr->cnt - started_us);
}

int MXC_Delay(uint32_t us)
{
    *MACHINE_DELAY = us;
    return 0;
}

void MXC_LP_EnterSleepMode(void)
{
    __asm volatile("wfi");
}

void MXC_LP_EnterLowPowerMode(void)
{
    __asm volatile("wfi");
}

int Debug_Init(void)
{
    return 0;
}

int MXC_GPIO_Config(const mxc_gpio_cfg_t *cfg)
{
    cfg->port->out &= ~cfg->mask;
    return 0;
}

void MXC_GPIO_OutSet(mxc_gpio_regs_t *port, uint32_t mask)
{
    port->out |= mask;
}

void MXC_GPIO_OutClr(mxc_gpio_regs_t *port, uint32_t mask)
{
    port->out &= ~mask;
}

void LED_On(unsigned int idx)
{
    MXC_GPIO_OutSet(MXC_GPIO0, UINT32_C(1) << idx);
}

void LED_Off(unsigned int idx)
{
    MXC_GPIO_OutClr(MXC_GPIO0, UINT32_C(1) << idx);
}
