
/* The real value of one step of an output is LOGIT_SCALE / 2^(14 + LOGIT_SHIFT) */
#define LOGIT_SCALE INT64_C(@{factor})
#define LOGIT_SHIFT @{shift}

/* An output as a real number in Q17.14, limited to what that holds */
static q31_t logit(q31_t output)
{
    const int64_t wide = ((int64_t)output * LOGIT_SCALE) >> LOGIT_SHIFT;
    const int64_t above = (wide < INT32_MIN) ? INT32_MIN : wide;

    return (q31_t)((above > INT32_MAX) ? INT32_MAX : above);
}
