/* Stand-in for the vendor SDK: the LEDs of the board. */

#ifndef LED_H
#define LED_H

void LED_On(unsigned int idx);
void LED_Off(unsigned int idx);

#endif /* LED_H */
