/* Copy 32-bit values, one channel per word, to planes */
static void unload_wide(uint8_t *out, const volatile uint32_t *from, uint32_t step,
                        uint32_t channels, uint32_t pixels)
{
    for (uint32_t channel = 0; channel < channels; channel++) {
        const volatile uint32_t *value = &from[channel];

@{unroll}        for (uint32_t i = 0; i < pixels; i++) {
            const uint32_t word = *value;

            memcpy(out, &word, sizeof(word));
            out += sizeof(word);
            value += step;
        }
    }
}
