/* Copy the four byte lanes of words to four planes: transpose 4 x 4 bytes at a time */
static void unload_four(uint32_t *out, const volatile uint32_t *from, uint32_t step,
                        uint32_t pixels)
{
    const uint32_t even = 0x00FF00FFu;
    const uint32_t plane = pixels / 4;

@{unroll}    for (uint32_t i = 0; i < plane; i++) {
        const uint32_t a = from[0];
        const uint32_t b = from[step];
        const uint32_t c = from[2 * step];
        const uint32_t d = from[3 * step];
        const uint32_t ab_even = (a & even) | ((b & even) << 8);
        const uint32_t ab_odd = ((a >> 8) & even) | (b & ~even);
        const uint32_t cd_even = (c & even) | ((d & even) << 8);
        const uint32_t cd_odd = ((c >> 8) & even) | (d & ~even);

        out[0] = (ab_even & 0xFFFFu) | (cd_even << 16);
        out[plane] = (ab_odd & 0xFFFFu) | (cd_odd << 16);
        out[2 * plane] = (ab_even >> 16) | (cd_even & 0xFFFF0000u);
        out[3 * plane] = (ab_odd >> 16) | (cd_odd & 0xFFFF0000u);
        out++;
        from += 4 * step;
    }
}
