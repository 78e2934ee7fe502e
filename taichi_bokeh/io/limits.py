"""How large an image may be; asked before its pixels are unpacked, so that a small file cannot fill the memory."""

MAX_PIXELS = 200_000_000


def check_size(width: int, height: int) -> None:
    """Refuse an image without pixels, or with too many.

    Raises:
        ValueError: in words that follow "FILE cannot be read:".
    """
    if width < 1 or height < 1:
        raise ValueError(f"it is {width}×{height} pixels, so empty")
    if width * height > MAX_PIXELS:
        megapixels = width * height / 1e6
        raise ValueError(
            f"it has {width}×{height} pixels ({megapixels:.0f} megapixels), more than {MAX_PIXELS // 10**6} megapixels"
        )
