"""Metrics, evaluation and the comparison of defocus layers."""
