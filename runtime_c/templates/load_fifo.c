@{macros}

/* Push the sample into the FIFOs, each word as soon as there is room */
static __attribute__((noinline)) void load_input(void)
{
    for (uint32_t i = 0; i < @{words}u; i++) {
@{pushes}
    }
}
