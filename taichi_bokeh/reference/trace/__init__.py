"""The ray tracer in torch."""
