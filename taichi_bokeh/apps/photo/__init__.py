"""Commands for one photograph."""
