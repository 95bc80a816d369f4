"""Limits of AXI4 bursts, and those that the core keeps to besides."""

#: Bursts never cross an address that is a multiple of this.
BOUNDARY = 4096

#: Most beats of a burst.
LONGEST = 256

#: Most beats and most bytes of a burst of a LOAD; blocks of so much never cross the boundary.
LOAD_BEATS = 16
LOAD_BYTES = 256

#: Beats of a LOAD that are kept or on their way.
LOAD_DEPTH = 32

#: Writes that may wait for their response.
WRITES = 8
