    done = (done == CNN_OK) ? cnn_verify_weights() : done;
