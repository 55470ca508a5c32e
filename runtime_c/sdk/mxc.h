/*
 * Stand-in for the vendor SDK: what the generated files use of it, for the emulated machine.
 *
 * Names, types and meanings are those of the SDK; addresses and numbers are those of the emulated
 * machine (ai8xc.backends.firmware), which is a model of the chip and not the chip.
 */

#ifndef MXC_H
#define MXC_H

#include <stdint.h>

/* Interrupts */

typedef enum { CNN_IRQn = 16, RISCV_IRQn = 17 } IRQn_Type;

void MXC_NVIC_SetVector(IRQn_Type irqn, void (*irq_handler)(void));

/* Of the RISC-V core */
void NVIC_EnableIRQ(IRQn_Type irqn);
void NVIC_EnableEVENT(IRQn_Type irqn);
void NVIC_ClearPendingIRQ(IRQn_Type irqn);
void NVIC_ClearPendingEVENT(IRQn_Type irqn);

/* The interrupt mask of the core. */

#if defined(__arm__)
static inline void __disable_irq(void)
{
    __asm volatile("cpsid i" ::: "memory");
}

static inline void __enable_irq(void)
{
    __asm volatile("cpsie i" ::: "memory");
}

static inline void __ISB(void)
{
    __asm volatile("isb" ::: "memory");
}
#elif defined(__riscv)
static inline void __enable_irq(void)
{
    __asm volatile("csrsi mstatus, 8" ::: "memory");
}
#else /* only to compile on a host */
void __disable_irq(void);
void __enable_irq(void);
void __ISB(void);
#endif

/* Clocks */

typedef struct {
    volatile uint32_t pclkdiv;
    volatile uint32_t pclkdis;
    volatile uint32_t ipll_ctrl;
    volatile uint32_t clkctrl;
} mxc_gcr_regs_t;

#define MXC_GCR ((mxc_gcr_regs_t *)(uintptr_t)0x40000000u)

#define MXC_F_GCR_PCLKDIV_CNNCLKDIV (0x7u << 14)
#define MXC_F_GCR_PCLKDIV_CNNCLKSEL (0x1u << 17)
#define MXC_S_GCR_PCLKDIV_CNNCLKDIV_DIV2 (0x0u << 14)
#define MXC_S_GCR_PCLKDIV_CNNCLKDIV_DIV4 (0x1u << 14)
#define MXC_S_GCR_PCLKDIV_CNNCLKDIV_DIV8 (0x2u << 14)
#define MXC_S_GCR_PCLKDIV_CNNCLKDIV_DIV16 (0x3u << 14)
#define MXC_S_GCR_PCLKDIV_CNNCLKDIV_DIV1 (0x4u << 14)
#define MXC_S_GCR_PCLKDIV_CNNCLKSEL_PCLK (0x0u << 17)
#define MXC_S_GCR_PCLKDIV_CNNCLKSEL_IPLL (0x1u << 17)
#define MXC_F_GCR_IPLL_CTRL_EN 0x1u
#define MXC_F_GCR_IPLL_CTRL_RDY 0x2u

typedef enum { MXC_SYS_CLOCK_IPO } mxc_sys_system_clock_t;
typedef enum {
    MXC_SYS_PERIPH_CLOCK_CNN = 25,
    MXC_SYS_PERIPH_CLOCK_SMPHR = 26,
    MXC_SYS_PERIPH_CLOCK_CPU1 = 27,
} mxc_sys_periph_clock_t;

int MXC_SYS_Clock_Select(mxc_sys_system_clock_t clock);
void MXC_SYS_ClockEnable(mxc_sys_periph_clock_t clock);
void MXC_SYS_ClockDisable(mxc_sys_periph_clock_t clock);
void SystemCoreClockUpdate(void);

/* Instruction cache */

typedef struct {
    volatile uint32_t ctrl;
} mxc_icc_regs_t;

#define MXC_ICC0 ((mxc_icc_regs_t *)(uintptr_t)0x4002A000u)
#define MXC_ICC1 ((mxc_icc_regs_t *)(uintptr_t)0x4002A800u)

void MXC_ICC_Enable(mxc_icc_regs_t *icc);

/* Timer */

typedef struct {
    volatile uint32_t cnt; /* microseconds */
} mxc_tmr_regs_t;

#define MXC_TMR0 ((mxc_tmr_regs_t *)(uintptr_t)0x40010000u)
#define MXC_TMR1 ((mxc_tmr_regs_t *)(uintptr_t)0x40011000u)
#define MXC_TMR2 ((mxc_tmr_regs_t *)(uintptr_t)0x40012000u)
#define MXC_TMR3 ((mxc_tmr_regs_t *)(uintptr_t)0x40013000u)

void MXC_TMR_SW_Start(mxc_tmr_regs_t *tmr);
unsigned int MXC_TMR_SW_Stop(mxc_tmr_regs_t *tmr);

/* Delay and sleep */

#define MXC_DELAY_MSEC(ms) ((uint32_t)((ms)*1000u))
#define MXC_DELAY_SEC(s) ((uint32_t)((s)*1000000u))

int MXC_Delay(uint32_t us);
void MXC_LP_EnterSleepMode(void);
void MXC_LP_EnterLowPowerMode(void);

/* GPIO */

typedef struct {
    volatile uint32_t out;
} mxc_gpio_regs_t;

typedef enum { MXC_GPIO_PAD_NONE } mxc_gpio_pad_t;
typedef enum { MXC_GPIO_FUNC_OUT = 1 } mxc_gpio_func_t;
typedef enum { MXC_GPIO_VSSEL_VDDIO } mxc_gpio_vssel_t;

typedef struct {
    mxc_gpio_regs_t *port;
    uint32_t mask;
    mxc_gpio_func_t func;
    mxc_gpio_pad_t pad;
    mxc_gpio_vssel_t vssel;
} mxc_gpio_cfg_t;

#define MXC_GPIO0 ((mxc_gpio_regs_t *)(uintptr_t)0x40008000u)
#define MXC_GPIO1 ((mxc_gpio_regs_t *)(uintptr_t)0x40009000u)
#define MXC_GPIO2 ((mxc_gpio_regs_t *)(uintptr_t)0x4000A000u)
#define MXC_GPIO3 ((mxc_gpio_regs_t *)(uintptr_t)0x4000B000u)

#define MXC_GPIO_PIN_0 (UINT32_C(1) << 0)
#define MXC_GPIO_PIN_1 (UINT32_C(1) << 1)
#define MXC_GPIO_PIN_2 (UINT32_C(1) << 2)
#define MXC_GPIO_PIN_3 (UINT32_C(1) << 3)
#define MXC_GPIO_PIN_4 (UINT32_C(1) << 4)
#define MXC_GPIO_PIN_5 (UINT32_C(1) << 5)
#define MXC_GPIO_PIN_6 (UINT32_C(1) << 6)
#define MXC_GPIO_PIN_7 (UINT32_C(1) << 7)
#define MXC_GPIO_PIN_8 (UINT32_C(1) << 8)
#define MXC_GPIO_PIN_9 (UINT32_C(1) << 9)
#define MXC_GPIO_PIN_10 (UINT32_C(1) << 10)
#define MXC_GPIO_PIN_11 (UINT32_C(1) << 11)
#define MXC_GPIO_PIN_12 (UINT32_C(1) << 12)
#define MXC_GPIO_PIN_13 (UINT32_C(1) << 13)
#define MXC_GPIO_PIN_14 (UINT32_C(1) << 14)
#define MXC_GPIO_PIN_15 (UINT32_C(1) << 15)
#define MXC_GPIO_PIN_16 (UINT32_C(1) << 16)
#define MXC_GPIO_PIN_17 (UINT32_C(1) << 17)
#define MXC_GPIO_PIN_18 (UINT32_C(1) << 18)
#define MXC_GPIO_PIN_19 (UINT32_C(1) << 19)
#define MXC_GPIO_PIN_20 (UINT32_C(1) << 20)
#define MXC_GPIO_PIN_21 (UINT32_C(1) << 21)
#define MXC_GPIO_PIN_22 (UINT32_C(1) << 22)
#define MXC_GPIO_PIN_23 (UINT32_C(1) << 23)
#define MXC_GPIO_PIN_24 (UINT32_C(1) << 24)
#define MXC_GPIO_PIN_25 (UINT32_C(1) << 25)
#define MXC_GPIO_PIN_26 (UINT32_C(1) << 26)
#define MXC_GPIO_PIN_27 (UINT32_C(1) << 27)
#define MXC_GPIO_PIN_28 (UINT32_C(1) << 28)
#define MXC_GPIO_PIN_29 (UINT32_C(1) << 29)
#define MXC_GPIO_PIN_30 (UINT32_C(1) << 30)
#define MXC_GPIO_PIN_31 (UINT32_C(1) << 31)

int MXC_GPIO_Config(const mxc_gpio_cfg_t *cfg);
void MXC_GPIO_OutSet(mxc_gpio_regs_t *port, uint32_t mask);
void MXC_GPIO_OutClr(mxc_gpio_regs_t *port, uint32_t mask);

#endif /* MXC_H */
