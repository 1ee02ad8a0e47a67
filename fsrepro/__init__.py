"""Few-spikes conversion of trained networks, reproducible end to end."""

__version__ = "0.1.0"
