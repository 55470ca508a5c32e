
static void print_classes(void)
{
    softmax_layer();
    printf("Classification results:\n");
    for (uint32_t i = 0; i < CNN_NUM_OUTPUTS; i++) {
        const unsigned int permille = ((unsigned int)probabilities[i] * 1000u + 0x4000u) >> 15;

        printf("[%7ld] -> Class %u: %u.%u%%\n", (long)(@{output}), (unsigned int)i,
               permille / 10u, permille % 10u);
    }
}
