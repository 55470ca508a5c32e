/* Signals while the accelerator and the system are at work, to the power monitor */
#define CNN_START MXC_GPIO_OutSet(MXC_GPIO1, MXC_GPIO_PIN_7)
#define CNN_COMPLETE MXC_GPIO_OutClr(MXC_GPIO1, MXC_GPIO_PIN_7)
#define SYS_START MXC_GPIO_OutSet(MXC_GPIO1, MXC_GPIO_PIN_6)
#define SYS_COMPLETE MXC_GPIO_OutClr(MXC_GPIO1, MXC_GPIO_PIN_6)
