"""Fuzzing of everything that reads a stranger's bytes, or an operator's file: `python -m tests.fuzz --help`."""
