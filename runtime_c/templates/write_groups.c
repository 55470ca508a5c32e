/* Words between the registers of two groups */
#define CNN_GROUP_WORDS (@{stride} / 4u)

/* Write a word to one register of all groups in use; first points to that of the first one */
static inline void write_groups(volatile uint32_t *first, uint32_t word)
{
@{writes}
}

