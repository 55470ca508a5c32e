/* Copy the sample to the data memories */
static __attribute__((noinline)) void load_input(void)
{
@{copies}
}
