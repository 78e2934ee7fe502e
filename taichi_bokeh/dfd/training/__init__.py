"""Training of a network that estimates depth."""
