# The Arm core only starts the RISC-V core: make builds the program of that one, too, from this folder
ifeq "$(RISCV_CORE)" "1"
SRCS += main_riscv.c cnn.c softmax.c
else
SRCS += main.c
RISCV_LOAD ?= 1
RISCV_APP ?= .
endif
