"""Kernels of the sub-aperture model."""
