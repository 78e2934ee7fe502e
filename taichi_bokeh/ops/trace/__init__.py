"""The operator of the ray tracer."""
