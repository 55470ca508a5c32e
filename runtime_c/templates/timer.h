
/* Timer that measures the inference */
#define CNN_INFERENCE_TIMER MXC_TMR@{timer}
