"""Small whole files of every format that is read, and damage done to them: what `fuzz_readers.py` reads."""

import io
import random
import re
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from taichi_bokeh.io.formats import numpy_files, pfm, png, raster, tiff
from tests.io.phones import writers

_RNG = np.random.default_rng(0)
_GREY = _RNG.integers(0, 256, (12, 16), np.uint8)
_RGB = _RNG.integers(0, 256, (12, 16, 3), np.uint8)
_RGBA = _RNG.integers(0, 256, (12, 16, 4), np.uint8)
_LIGHT = _RNG.random((12, 16, 3), np.float32)
_BOMB_BYTES = 1 << 25
_XMP_SPACE = writers.SPACES["GDepth"].encode()


def _pngs() -> list[bytes]:
    profile = _icc()
    bomb = zlib.compress(bytes(_BOMB_BYTES), 1)
    text = writers.picture(_RGB)
    held = text[:33] + _png_chunk(b"zTXt", b"Comment\0\0" + bomb) + _png_chunk(b"iCCP", b"x\0\0" + bomb) + text[33:]
    palette = io.BytesIO()
    PillowImage.fromarray(_GREY).convert("P").save(palette, "PNG", transparency=3)
    coded = (
        text[:33]
        + _png_chunk(b"gAMA", struct.pack(">I", 45455))
        + _png_chunk(b"cHRM", struct.pack(">8I", *range(8)))
        + text[33:]
    )
    deep = png.encode(_RGB.astype(np.uint16) * 257, b"")
    plain = [writers.picture(_GREY), writers.picture(_RGBA), writers.picture(_RGB, icc_profile=profile)]
    return [*plain, writers.picture(_GREY.astype(np.uint16) * 257), palette.getvalue(), coded, deep, held]


def _jpegs() -> list[bytes]:
    large = _RNG.integers(0, 256, (24, 32, 3), np.uint8)
    first = writers.jpeg(large, 6)
    facts: dict[str, object] = {"Format": "RangeInverse", "Near": 0.5, "Far": 7.0, "Units": "m"}
    apple = writers.packet(apdi__AuxiliaryImageType="disparity", depthData__FloatMinValue=0.5, depthData__FloatMaxValue=2)
    laughs = b"<!DOCTYPE x [<!ENTITY a 'ha'>" + b"".join(
        b"<!ENTITY %c '%s'>" % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(10)
    )
    nested = b"<a>" * 9000 + b"</a>" * 9000
    many = b'<a xmlns:d="' + _XMP_SPACE + b'">' + b'<b d:Near="1"/>' * 3000 + b"</a>"
    small = writers.picture(_RGB)
    cmyk = io.BytesIO()
    PillowImage.fromarray(_RGBA, "CMYK").save(cmyk, "JPEG")
    return [
        *(first, writers.picture(_GREY, "JPEG"), cmyk.getvalue(), writers.picture(_RGB, "JPEG", icc_profile=_icc())),
        *(writers.gdepth(large, _GREY, 3, **facts), writers.gdepth(large, _GREY, 6, is_extended=True, **facts)),
        writers.container(large, [("Depth", writers.picture(_GREY)), ("GainMap", small), ("Original", small)], 1, **facts),
        writers.several(first, [(writers.jpeg(large, 1), 0x020002), (writers.jpeg(_RGB, 1, apple), 0)]),
        writers.samsung(large, _GREY),
        *(writers.jpeg(_RGB, 1, xmp) for xmp in (laughs + b"]><x>&k;</x>", nested, many)),
    ]


def _heics() -> list[bytes]:
    pair = [(_RGB, {}), (np.repeat(_GREY[..., None], 3, 2), {})]
    plain = writers.heic([(_RGB, {"exif": PillowImage.Exif().tobytes()})])
    depth = writers.with_auxiliary(writers.heic([(_RGB, {}), (_GREY, {})]), 1, "urn:mpeg:hevc:2015:auxid:2")
    return [plain, depth, writers.with_stereo(writers.heic(pair), 0, 1)]


def _avifs() -> list[bytes]:
    return [raster.encode(".avif", _RGB), raster.encode(".avif", _RGBA)]


def _tiffs() -> list[bytes]:
    files = [tiff.encode(_LIGHT), tiff.encode(_LIGHT[..., 0])]
    for samples, options in ((_RGB, {"compression": "tiff_lzw"}), (_GREY, {}), (_RGB, {"compression": "jpeg"}), (_RGBA, {})):
        files.append(writers.picture(samples, "TIFF", **options))
    packed = io.BytesIO()
    PillowImage.fromarray(_GREY).convert("P").save(packed, "TIFF", compression="tiff_adobe_deflate")
    return [*files, packed.getvalue()]


def _exrs() -> list[bytes]:
    import OpenEXR

    tiles = {"type": OpenEXR.tiledimage, "tiles": OpenEXR.TileDescription()}
    kinds = ("NO_COMPRESSION", "RLE_COMPRESSION", "ZIP_COMPRESSION", "PIZ_COMPRESSION", "PXR24_COMPRESSION", "DWAA_COMPRESSION")
    files = [OpenEXR.File(_header(compression=getattr(OpenEXR, kind)), _planes("RGB")) for kind in kinds]
    files.append(OpenEXR.File(_header(compression=OpenEXR.B44_COMPRESSION), _planes("RGB", np.float16)))
    files.append(OpenEXR.File(_header() | tiles, _planes("RGBZ")))
    matte = {"cryptomatte/1/name": "crypto", "cryptomatte/1/manifest": '{"a":"3f800000"}'}
    crypto = {f"crypto00.{name}": plane for name, plane in _planes("RGBA").items()}
    files.append(OpenEXR.File(_header() | matte, _planes("RGB") | crypto))
    files.append(OpenEXR.File([OpenEXR.Part(_header(), _planes("RGB"), "rgb"), OpenEXR.Part(_header(), _planes("Z"), "depth")]))
    files.append(OpenEXR.File(_header(type=OpenEXR.deepscanline), _deep_channels()))
    return [_written(file) for file in files]


def _planes(names: str, dtype: type = np.float32) -> dict[str, np.ndarray]:
    """Make channels, anew for each file: the package changes what it is given."""
    return {name: np.ascontiguousarray(_LIGHT[..., i % 3], dtype) for i, name in enumerate(names)}


def _header(**facts: object) -> dict[str, object]:
    import OpenEXR

    return {"compression": OpenEXR.ZIPS_COMPRESSION, "type": OpenEXR.scanlineimage} | facts


def _deep_channels() -> dict[str, np.ndarray]:
    counts = _RNG.integers(0, 3, (6, 8))
    channels = {}
    for name in "RGBAZ":
        channels[name] = np.empty(counts.shape, object)
        for at, count in np.ndenumerate(counts):
            channels[name][at] = _RNG.random(count, np.float32) + np.float32(0.1) if count else None
    return channels


def _written(file: object) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.exr"
        file.write(str(path))  # type: ignore[attr-defined]
        return path.read_bytes()


def _npys() -> list[bytes]:
    arrays = (
        _GREY,
        _RGB,
        _LIGHT,
        _LIGHT[..., 0].astype(np.float16),
        np.asfortranarray(_LIGHT[..., 0].astype(">f8")),
        _GREY > 9,
    )
    return [numpy_files.encode(array) for array in arrays]


def _npzs() -> list[bytes]:
    def archive(deflate: bool, **entries: bytes) -> bytes:
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED) as file:
            for name, data in entries.items():
                file.writestr(f"{name}.npy", data)
        return content.getvalue()

    map_ = numpy_files.encode(_LIGHT[..., 0])
    bomb = archive(True, data=map_ + bytes(_BOMB_BYTES))
    size = struct.pack("<I", len(map_) + _BOMB_BYTES)
    lying = bomb.replace(size, struct.pack("<I", len(map_)))  # it says that it unpacks to little
    return [archive(False, data=map_), archive(True, data=map_, other=numpy_files.encode(_RGB)), bomb, lying]


def _pfms() -> list[bytes]:
    return [pfm.encode(_LIGHT), pfm.encode(_LIGHT[..., 0])]


def _videos() -> list[bytes]:
    import av

    files = []
    for kind, codec, layout in (("mp4", "libx264", "yuv420p"), ("matroska", "ffv1", "yuva420p"), ("mov", "png", "rgba")):
        content = io.BytesIO()
        with av.open(content, "w", format=kind) as container:
            stream = container.add_stream(codec, rate=25)
            stream.width, stream.height, stream.pix_fmt = 32, 24, layout
            for shade in range(3):
                frame = av.VideoFrame.from_ndarray(np.full((24, 32, 3), 80 * shade, np.uint8), format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        files.append(content.getvalue())
    return files


def _others() -> list[bytes]:
    """Files of formats that are read because Pillow reads them."""
    return [
        writers.picture(_RGB, form) for form in ("BMP", "WEBP", "GIF", "PPM", "TGA", "PCX", "SGI", "JPEG2000", "ICO", "DDS")
    ]


#: By the name of the format: the suffix that its files have here, and what makes them.
FORMATS: dict[str, tuple[str, Callable[[], list[bytes]]]] = {
    "png": (".png", _pngs),
    "jpeg": (".jpg", _jpegs),
    "heic": (".heic", _heics),
    "avif": (".avif", _avifs),
    "tiff": (".tif", _tiffs),
    "exr": (".exr", _exrs),
    "npy": (".npy", _npys),
    "npz": (".npz", _npzs),
    "pfm": (".pfm", _pfms),
    "video": (".mkv", _videos),
    "others": (".bmp", _others),
}


def damaged(files: list[bytes], name: str, chance: random.Random) -> bytes:
    """Make one of the files worse, in one to four ways; the same chance does the same."""
    content = bytearray(chance.choice(files))
    for _ in range(chance.choice((1, 1, 2, 4))):
        chance.choice(_WAYS)(content, files, chance)
    if name == "png" and chance.random() < 0.8:
        return _with_checksums(bytes(content))  # else nothing behind them is reached
    return bytes(content)


def _flip(content: bytearray, _: list[bytes], chance: random.Random) -> None:
    for _i in range(chance.choice((1, 1, 2, 8)) if content else 0):
        content[_place(content, chance)] ^= 1 << chance.randrange(8)


def _cut(content: bytearray, _: list[bytes], chance: random.Random) -> None:
    del content[_place(content, chance) :]


def _number(content: bytearray, _: list[bytes], chance: random.Random) -> None:
    """Put an extreme number where one may be, of 1, 2, 4 or 8 bytes in either order."""
    width = chance.choice((1, 2, 4, 4, 8))
    value = chance.choice((0, 1, 255, (1 << 8 * width) - 1, 1 << (8 * width - 1), (1 << (8 * width - 1)) - 1, 30_000))
    at = _place(content, chance)
    content[at : at + width] = (value % (1 << 8 * width)).to_bytes(width, chance.choice(("big", "little")))


def _repeat(content: bytearray, _: list[bytes], chance: random.Random) -> None:
    at = _place(content, chance)
    content[at:at] = content[at : at + chance.choice((4, 12, 40, 300))] * chance.choice((1, 2, 50))


def _remove(content: bytearray, _: list[bytes], chance: random.Random) -> None:
    at = _place(content, chance)
    del content[at : at + chance.choice((1, 2, 4, 12, 40, 300))]


def _splice(content: bytearray, files: list[bytes], chance: random.Random) -> None:
    """Put a piece of another file in."""
    other, at = chance.choice(files), _place(content, chance)
    start = chance.randrange(len(other))
    length = chance.choice((4, 40, 400))
    content[at : at + length] = other[start : start + length]


def _text(content: bytearray, _: list[bytes], chance: random.Random) -> None:
    """Put another number where one is written in digits."""
    found = list(re.finditer(rb"[0-9]+(?:\.[0-9]+)?", bytes(content[:20_000])))
    if found:
        one = chance.choice(found)
        content[one.start() : one.end()] = chance.choice(
            (b"0", b"-1", b"nan", b"1e400", b"99999999999999999999", b"0x", b"\xff")
        )


def _place(content: bytearray, chance: random.Random) -> int:
    """Choose a place, most often near the beginning, where headers are, or the end."""
    last = max(0, len(content) - 1)
    reach = min(last, chance.choice((16, 120, 1000, last)))
    at = chance.randint(0, reach)
    return last - at if chance.random() < 0.2 else at


_WAYS = (_flip, _flip, _cut, _number, _number, _repeat, _remove, _splice, _text)


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _with_checksums(content: bytes) -> bytes:
    made, at = content[:8], 8
    while at + 12 <= len(content):
        length = struct.unpack_from(">I", content, at)[0]
        if at + 12 + length > len(content):
            break
        made += _png_chunk(content[at + 4 : at + 8], content[at + 8 : at + 8 + length])
        at += 12 + length
    return made + content[at:]


def _icc() -> bytes:
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
