"""Kernels of the scatter models."""
