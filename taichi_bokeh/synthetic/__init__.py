"""Scenes of known depth and matte, which the benchmark and depth from defocus share."""
