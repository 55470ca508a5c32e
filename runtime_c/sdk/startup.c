/* Start-up of the emulated machine, and the system calls of the C library. */

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "machine.h"

extern uint32_t data_start;
extern uint32_t data_end;
extern const uint32_t data_load;
extern uint32_t bss_start;
extern uint32_t bss_end;
extern char heap_start;
extern char stack_top;

int main(void);
void Reset_Handler(void);
void *_sbrk(ptrdiff_t increment);
int _write(int file, const char *text, int length);
int _read(int file, char *text, int length);
int _close(int file);
int _lseek(int file, int offset, int whence);
int _fstat(int file, struct stat *status);
int _isatty(int file);

uint32_t machine_vectors[FIRST_IRQ + INTERRUPTS];

__attribute__((used, section(".vectors"))) static void *const reset_vectors[2] = {
    &stack_top,
    (void *)Reset_Handler,
};

void Reset_Handler(void)
{
    const uint32_t *from = &data_load;

    for (uint32_t *to = &data_start; to < &data_end; to++) {
        *to = *from++;
    }
    for (uint32_t *to = &bss_start; to < &bss_end; to++) {
        *to = 0;
    }
    *MACHINE_EXIT = (uint32_t)main();
    for (;;) {
    }
}

void *_sbrk(ptrdiff_t increment)
{
    static char *heap = &heap_start;
    char *const block = heap;

    heap += increment;
    return block;
}

int _write(int file, const char *text, int length)
{
    (void)file;
    *MACHINE_TEXT = (uint32_t)(uintptr_t)text;
    *MACHINE_PRINT = (uint32_t)length;
    return length;
}

int _read(int file, char *text, int length)
{
    (void)file;
    (void)text;
    (void)length;
    return 0;
}

int _close(int file)
{
    (void)file;
    return -1;
}

int _lseek(int file, int offset, int whence)
{
    (void)file;
    (void)offset;
    (void)whence;
    return 0;
}

int _fstat(int file, struct stat *status)
{
    (void)file;
    status->st_mode = S_IFCHR;
    return 0;
}

int _isatty(int file)
{
    (void)file;
    return 1;
}
