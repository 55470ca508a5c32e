/* Wait for the interrupt without sleeping */
static void wait_for_cnn(void)
{
    while (cnn_time == 0) {
    }
}
