"""Memristor crossbars: cells, columns, readings, and lanes made of them."""
