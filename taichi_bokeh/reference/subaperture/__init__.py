"""The sub-aperture model in torch."""
