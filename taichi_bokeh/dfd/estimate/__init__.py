"""Depth of one pair of photographs."""
