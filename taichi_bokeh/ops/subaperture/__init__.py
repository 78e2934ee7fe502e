"""The operator of the sub-aperture model."""
