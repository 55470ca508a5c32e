static uint32_t outputs[CNN_OUTPUT_WORDS];

