SRCS += main.c cnn.c softmax.c
