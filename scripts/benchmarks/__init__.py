"""What `scripts/benchmark.py` times: a module a subject."""
