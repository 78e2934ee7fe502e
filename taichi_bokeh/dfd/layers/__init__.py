"""Defocus layers: blur that can be differentiated with respect to depth."""
