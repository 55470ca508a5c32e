/* Sleep until the interrupt; masking it closes the gap between the test and the sleep */
static void wait_for_cnn(void)
{
    __asm volatile("csrci mstatus, 8" ::: "memory");
    while (cnn_time == 0) {
        __asm volatile("wfi\n\t"
                       "csrsi mstatus, 8\n\t"
                       "csrci mstatus, 8" ::
                           : "memory");
    }
    __asm volatile("csrsi mstatus, 8" ::: "memory");
}
