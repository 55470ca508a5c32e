/* Copy the outputs to out_buf, aligned to words: channel by channel, row by row */
int cnn_unload(uint32_t *out_buf);

