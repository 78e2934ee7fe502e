"""Small ICC profiles (ICC.1:2001-04), made as the tests need them."""

import struct
from collections.abc import Sequence

import numpy as np

_D50 = (0.9642, 1.0, 0.8249)
SRGB_COLORANTS = ((0.43604, 0.22248, 0.01392), (0.38512, 0.71690, 0.09706), (0.14305, 0.06061, 0.71391))
ADOBE_COLORANTS = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))


def rgb_profile(colorants: Sequence[Sequence[float]], gamma: float, name: str = "test") -> bytes:
    """RGB with these columns (XYZ under D50) and one curve for all."""
    columns = {f"{letter}XYZ": _xyz(column) for letter, column in zip("rgb", colorants, strict=True)}
    return _profile(b"RGB ", b"XYZ ", name, columns | {f"{letter}TRC": _gamma(gamma) for letter in "rgb"})


def grey_profile(gamma: float, name: str = "test grey") -> bytes:
    """Grey with a curve."""
    return _profile(b"GRAY", b"XYZ ", name, {"kTRC": _gamma(gamma)})


def cmyk_profile(lab: np.ndarray, name: str = "test inks") -> bytes:
    """Inks whose mixtures have the colours `lab` [2, 2, 2, 2, 3] (none or all of C, M, Y, K), linear between."""
    levels = np.stack([lab[..., 0] * 255 / 100, lab[..., 1] + 128, lab[..., 2] + 128], axis=-1)
    ramp = bytes(range(256))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + struct.pack(">9i", *np.eye(3, dtype=int).ravel() * 65536)
    table += ramp * 4 + np.rint(levels).astype(np.uint8).tobytes() + ramp * 3
    return _profile(b"CMYK", b"Lab ", name, {"A2B0": table, "A2B1": table}, kind=b"prtr")


def _profile(space: bytes, connection: bytes, name: str, tags: dict[str, bytes], kind: bytes = b"mntr") -> bytes:
    text = name.encode() + b"\0"
    description = b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(8) + bytes(3 + 67)
    bodies = {"desc": description, "wtpt": _xyz(_D50), **tags}
    start, entries, data = 128 + 4 + 12 * len(bodies), b"", b""
    for tag, body in bodies.items():
        entries += tag.encode() + struct.pack(">II", start + len(data), len(body))
        data += body + bytes(-len(body) % 4)
    size = start + len(data)
    header = struct.pack(">I4sI4s4s4s", size, bytes(4), 0x02400000, kind, space, connection) + bytes(12) + b"acsp"
    header += bytes(28) + struct.pack(">3i", *(round(65536 * value) for value in _D50))
    return header.ljust(128, b"\0") + struct.pack(">I", len(bodies)) + entries + data


def _xyz(values: Sequence[float]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(65536 * value) for value in values))


def _gamma(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(256 * gamma))
