"""Scatter in time linear in the radius, along rows."""
