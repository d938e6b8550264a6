"""Atomic writes and strict reads."""
