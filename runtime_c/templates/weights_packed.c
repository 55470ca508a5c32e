int cnn_load_weights(void)
{
    const uint32_t *run = kernels;

    while (run[0] != 0) {
        uint32_t *const memory = (uint32_t *)(uintptr_t)run[0];
        const uint32_t words = run[1];

        /* A byte access selects the kernel at which the packed words that follow begin */
        ((volatile uint8_t *)memory)[1] = 1;
        memcpy32(memory, &run[2], (int)words);
        run = &run[2 + words];
    }
    return CNN_OK;
}

int cnn_verify_weights(void)
{
    for (const uint32_t *run = kernels; run[0] != 0; run += 2 + run[1]) {
        /* Packed kernels are read back 16 bytes apart, as words of 1, 4 and 4 bytes */
        const uint32_t offset = run[0] & (@{stride} - 1);
        const volatile uint32_t *kernel =
            (const volatile uint32_t *)(uintptr_t)(run[0] + 3 * offset);
        const uint8_t *const packed = (const uint8_t *)&run[2];
        const uint32_t bytes = 4 * run[1];
        uint32_t at = 0;

        /* In both, the first byte of a word is the highest one */
        while (at + 9 <= bytes) {
            for (uint32_t byte = 3; byte < 12; byte++) {
                if ((uint8_t)(kernel[byte / 4] >> (8 * (~byte % 4))) != packed[at ^ 3]) {
                    return CNN_FAIL;
                }
                at++;
            }
            kernel += 4;
        }
    }
    return CNN_OK;
}
