        /* Each layer stopped the accelerator: go on to the next */
        for (int layer = 0; layer < @{layers}; layer++) {
            (void)cnn_continue();
            wait_for_cnn();
        }
