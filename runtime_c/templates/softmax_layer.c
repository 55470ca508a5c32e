@{scale}
/* Class probabilities in Q15 */
static q15_t probabilities[CNN_NUM_OUTPUTS];

static void softmax_layer(void)
{
    static q31_t logits[CNN_NUM_OUTPUTS];

    for (uint32_t i = 0; i < CNN_NUM_OUTPUTS; i++) {
        logits[i] = @{logit};
    }
    softmax_q17p14_q15(logits, CNN_NUM_OUTPUTS, probabilities);
}
