"""Lens blur measured against ray-traced truth: scenes, methods, metrics, and the report."""
