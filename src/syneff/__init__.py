"""Batch estimation of policy effects on city panels."""

__version__ = "0.1.0"
