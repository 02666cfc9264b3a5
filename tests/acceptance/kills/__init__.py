"""Processes that are killed at every step, and what must be true afterwards."""
