# Configuration of @{name}. These lines are read before the defaults of the Makefile.

# Board: @{boards}
#BOARD = @{board}

# Folder of the MSDK, where the environment does not set it
#MAXIM_PATH = /path/to/msdk

# Optimization
#MXC_OPTIMIZE_CFLAGS = -O2
