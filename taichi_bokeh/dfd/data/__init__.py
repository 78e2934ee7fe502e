"""Data sets: made, read, augmented."""
