
/* The one handler of this core: that of the network which runs */
__attribute__((interrupt("machine"))) void CNN_IRQHandler(void)
{
    CNN_ISR();
}
