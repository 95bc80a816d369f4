"""Boards: a core with its memory on chip and a host link, one file a board."""
