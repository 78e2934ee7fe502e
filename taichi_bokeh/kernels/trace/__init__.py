"""Kernels of the ray tracer."""
