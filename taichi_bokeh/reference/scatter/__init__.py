"""The scatter models in torch."""
