"""Devices, memory, compiler options and the compilation cache."""
