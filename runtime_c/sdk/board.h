/* Stand-in for the vendor SDK: the board. */

#ifndef BOARD_H
#define BOARD_H

/* Make the JTAG pins those of the RISC-V core */
int Debug_Init(void);

#endif /* BOARD_H */
