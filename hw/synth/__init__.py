"""Synthesis, place and route with open tools."""
