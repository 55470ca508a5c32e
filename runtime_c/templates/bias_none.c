int cnn_load_bias(void)
{
    return CNN_OK; /* no layer has a bias */
}
