/* Copy one byte lane through the byte transposer, which gives four pixels a read */
static void unload_mlator(uint32_t *out, volatile uint32_t *ctl, const volatile uint32_t *mlat,
                          uint32_t mode, uint32_t words)
{
    *ctl = mode;
    (void)*mlat; /* the first read only prepares */
@{unroll}    for (uint32_t i = 0; i < words; i++) {
        out[i] = *mlat;
    }
}

