/* Start-up of the RISC-V core of the emulated machine, and the output of the C library. */

#include <stdint.h>
#include <stdio.h>

#include "machine.h"

extern uint32_t data_start;
extern uint32_t data_end;
extern const uint32_t data_load;
extern uint32_t bss_start;
extern uint32_t bss_end;

int main(void);
void riscv_main(void);
void riscv_vectors(void);
void CNN_IRQHandler(void);

/* Where the core starts */
__attribute__((used, naked, section(".reset"))) void _start(void);

void _start(void)
{
    __asm volatile("la sp, stack_top\n\t"
                   "la t0, riscv_vectors\n\t"
                   "ori t0, t0, 1\n\t"
                   "csrw mtvec, t0\n\t"
                   "j riscv_main");
}

/* One jump of four bytes for each interrupt */
__attribute__((used, naked, aligned(128))) void riscv_vectors(void)
{
    __asm volatile(".option push\n\t"
                   ".option norvc\n\t"
                   ".rept 16\n\t"
                   "j .\n\t"
                   ".endr\n\t"
                   "j CNN_IRQHandler\n\t"
                   ".option pop");
}

void riscv_main(void)
{
    const uint32_t *from = &data_load;

    for (uint32_t *to = &data_start; to < &data_end; to++) {
        *to = *from++;
    }
    for (uint32_t *to = &bss_start; to < &bss_end; to++) {
        *to = 0;
    }
    *MACHINE_RISCV_EXIT = (uint32_t)main();
    for (;;) {
        __asm volatile("wfi");
    }
}

static int put(char letter, FILE *file)
{
    (void)file;
    *MACHINE_TEXT = (uint32_t)(uintptr_t)&letter;
    *MACHINE_PRINT = 1;
    return (unsigned char)letter;
}

static FILE output = FDEV_SETUP_STREAM(put, NULL, NULL, _FDEV_SETUP_WRITE);
FILE *const stdout = &output;
