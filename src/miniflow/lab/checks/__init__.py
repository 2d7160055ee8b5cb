"""The checks: one file an exercise, each with its `exercise`."""
