"""The hardware of Firstspike, written in Amaranth."""
