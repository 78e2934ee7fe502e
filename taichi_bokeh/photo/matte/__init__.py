"""Mattes: from outlines, refined, and settled with the colours on both sides."""
