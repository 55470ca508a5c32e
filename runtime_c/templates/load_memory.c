/* Copy the sample to the data memories */
static void load_input(void)
{
@{copies}
}
