"""What software may know of the hardware, without Amaranth.

Code tables, formats, lookup tables, registers, named configurations and cycle formulas are declared
here once, and used by the gateware, the golden model, the driver and the documentation.
"""
