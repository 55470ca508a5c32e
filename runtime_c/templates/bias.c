/* Copy n bytes to the low bytes of words */
static void memcpy_8to32(volatile uint32_t *dst, const uint8_t *src, uint32_t n)
{
    while (n > 0) {
        *dst++ = *src++;
        n--;
    }
}

int cnn_load_bias(void)
{
@{loads}
    return CNN_OK;
}
