int cnn_load_weights(void)
{
    const uint32_t *run = kernels;

    while (run[0] != 0) {
        memcpy32((uint32_t *)(uintptr_t)run[0], &run[2], (int)run[1]);
        run = &run[2 + run[1]];
    }
    return CNN_OK;
}

int cnn_verify_weights(void)
{
    const uint32_t *run = kernels;

    while (run[0] != 0) {
        const volatile uint32_t *memory = (const volatile uint32_t *)(uintptr_t)run[0];

        for (uint32_t i = 0; i < run[1]; i++) {
            if (memory[i] != run[2 + i]) {
                return CNN_FAIL;
            }
        }
        run = &run[2 + run[1]];
    }
    return CNN_OK;
}
