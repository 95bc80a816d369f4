"""What synthesis may assume of a memory."""

#: Attribute of a memory of which no word is used that was read in the cycle of its writing: block
#: RAMs then need no logic behind them that gives the word before.
NO_COLLISIONS = {"no_rw_check": 1}

#: Attribute of a table that belongs in block RAM: synthesis takes logic for small ones otherwise,
#: and for each port again.
BLOCK = {"rom_style": "block"}
