"""Operators of depth from defocus."""
