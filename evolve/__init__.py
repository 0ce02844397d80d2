"""evolve: discover better programs by Progressive Monte Carlo Graph Search."""

__version__ = "0.1.0"
