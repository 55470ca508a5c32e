/* Copy neighbouring byte lanes of words to planes */
static void unload_lanes(uint8_t *out, const volatile uint32_t *from, uint32_t step,
                         uint32_t first, uint32_t lanes, uint32_t pixels)
{
@{unroll}    for (uint32_t i = 0; i < pixels; i++) {
        uint32_t word = *from >> (8 * first);
        uint8_t *pixel = &out[i];

        for (uint32_t lane = 0; lane < lanes; lane++) {
            *pixel = (uint8_t)word;
            pixel += pixels;
            word >>= 8;
        }
        from += step;
    }
}
