"""Operators of the scatter models."""
