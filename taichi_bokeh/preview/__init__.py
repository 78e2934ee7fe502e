"""The preview: controls in, frames out, in a window or without one."""
