/* Sleep until the interrupt; masking it closes the gap between the test and the sleep */
static void wait_for_cnn(void)
{
    __disable_irq();
    while (cnn_time == 0) {
        MXC_LP_EnterSleepMode();
        __enable_irq();
        __ISB();
        __disable_irq();
    }
    __enable_irq();
}
