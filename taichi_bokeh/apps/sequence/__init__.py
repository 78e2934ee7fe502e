"""Videos and numbered frames."""
