"""Defocus layers in torch."""
