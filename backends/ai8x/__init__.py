"""What both devices of the family share: lowering to registers and C."""
