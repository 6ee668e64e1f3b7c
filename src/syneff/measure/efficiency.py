"""Slacks-based efficiency (placeholder head; to be written by its owner)."""
