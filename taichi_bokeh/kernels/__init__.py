"""Taichi kernels, one concept a file: the equation, its adjoint, and both as kernels side by side. No torch in here."""
