"""Kernels of depth from defocus."""
