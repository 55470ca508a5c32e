/*
 * Softmax in fixed point: p[i] = exp(x[i]) / sum of exp(x[j]).
 *
 * Input Q17.14, output Q15. Every result is within one unit (2^-15) of the exact value rounded to
 * Q15 and limited to 32767/32768, for up to 4096 inputs. Integer arithmetic only, one division.
 *
 * Method. With d = max(x) - x[i] >= 0 and t = d * log2(e) = n + f, 0 <= f < 1, the weight of an
 * input is 2^-n * 2^-f. The second factor is a polynomial of degree 4 with an error below 2^-18.
 */

#include <stdint.h>

#include "cnn.h"

/* log2(e) in Q16. */
#define LOG2_E UINT64_C(94548)

/* 2^-f = 1 - C1 f + C2 f^2 - C3 f^3 + C4 f^4 on [0, 1], exact at both ends; Q30. */
#define ONE UINT32_C(1073741824)
#define C1 UINT32_C(744180561)
#define C2 UINT32_C(257158208)
#define C3 UINT32_C(57204732)
#define C4 UINT32_C(7356173)

/* Weights below 2^-30 of the largest vanish in Q30. */
#define MAX_HALVINGS UINT32_C(30)

static uint32_t scale_q16(uint32_t value, uint32_t fraction)
{
    return (uint32_t)(((uint64_t)value * fraction) >> 16);
}

/* exp(-d) in Q30 for d in Q14. */
static uint32_t exp_minus(uint32_t d)
{
    const uint64_t t = ((uint64_t)d * LOG2_E) >> 14; /* Q16 */
    const uint64_t halvings = t >> 16;
    const uint32_t f = (uint32_t)(t & UINT64_C(0xFFFF));
    uint32_t power;

    if (halvings > MAX_HALVINGS) {
        return 0;
    }
    power = C3 - scale_q16(C4, f);
    power = C2 - scale_q16(power, f);
    power = C1 - scale_q16(power, f);
    power = ONE - scale_q16(power, f);
    return power >> (uint32_t)halvings;
}

/* max(vec) - value; both are 32-bit numbers, so the difference fits an unsigned word. */
static uint32_t below(q31_t max, q31_t value)
{
    return (uint32_t)max - (uint32_t)value;
}

void softmax_q17p14_q15(const q31_t *vec_in, const uint16_t dim_vec, q15_t *p_out)
{
    q31_t max = INT32_MIN;
    uint64_t sum = 0;
    uint64_t reciprocal;
    uint32_t i;

    for (i = 0; i < dim_vec; i++) {
        max = (vec_in[i] > max) ? vec_in[i] : max;
    }
    for (i = 0; i < dim_vec; i++) {
        sum += exp_minus(below(max, vec_in[i]));
    }
    if (sum == 0) {
        return; /* no inputs */
    }
    reciprocal = (UINT64_C(1) << 61) / sum; /* sum >= 2^30, so this is at most 2^31 */
    for (i = 0; i < dim_vec; i++) {
        const uint64_t weight = exp_minus(below(max, vec_in[i]));
        const uint64_t share = (weight * reciprocal + (UINT64_C(1) << 45)) >> 46;

        p_out[i] = (q15_t)((share > INT16_MAX) ? INT16_MAX : (int32_t)share);
    }
}

void softmax_shift_q17p14_q15(q31_t *vec_in, const uint16_t dim_vec, uint8_t in_shift,
                              q15_t *p_out)
{
    uint32_t i;

    for (i = 0; i < dim_vec; i++) {
        vec_in[i] *= (q31_t)(UINT32_C(1) << in_shift);
    }
    softmax_q17p14_q15(vec_in, dim_vec, p_out);
}
