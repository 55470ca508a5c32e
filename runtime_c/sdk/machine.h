/* The emulated machine: ports that end the run and print, and the interrupt controller. */

#ifndef MACHINE_H
#define MACHINE_H

#include <stdint.h>

#define MACHINE_DELAY ((volatile uint32_t *)0x4000F000u)   /* let so many microseconds pass */
#define MACHINE_TEXT ((volatile uint32_t *)0x4000F004u)    /* address of text */
#define MACHINE_PRINT ((volatile uint32_t *)0x4000F008u)   /* print so many bytes of it */
#define MACHINE_EXIT ((volatile uint32_t *)0x4000F00Cu)    /* stop with this status */

#define MACHINE_RISCV_EXIT ((volatile uint32_t *)0x4000F010u) /* status of the RISC-V core */
#define MACHINE_RISCV_IRQ ((volatile uint32_t *)0x4000F014u)  /* interrupts that it takes */

#define NVIC_ISER ((volatile uint32_t *)0xE000E100u)

/* Exceptions of the core in front of the interrupts in the vector table. */
#define FIRST_IRQ 16u
#define INTERRUPTS 32u

extern uint32_t machine_vectors[FIRST_IRQ + INTERRUPTS];

#endif /* MACHINE_H */
