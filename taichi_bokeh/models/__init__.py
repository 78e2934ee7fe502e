"""The models of lens blur: what `render` dispatches to."""
