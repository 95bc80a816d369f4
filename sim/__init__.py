"""Simulation of the generated hardware: Verilated model and cocotb benches."""
