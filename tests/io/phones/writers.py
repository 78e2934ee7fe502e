"""Photographs of phones as they are laid out, small: JPEG with what is in it and behind it, HEIC with auxiliary images."""

import base64
import io
import struct
from collections.abc import Sequence

import numpy as np
from PIL import Image as PillowImage

RDF = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">{}</rdf:RDF></x:xmpmeta>'
SPACES = {
    "GDepth": "http://ns.google.com/photos/1.0/depthmap/",
    "GImage": "http://ns.google.com/photos/1.0/image/",
    "DepthMap": "http://ns.google.com/photos/dd/1.0/depthmap/",
    "Item": "http://ns.google.com/photos/dd/1.0/item/",
    "apdi": "http://ns.apple.com/pixeldatainfo/1.0/",
    "depthData": "http://ns.apple.com/depthData/1.0/",
    "hdrgm": "http://ns.adobe.com/hdr-gain-map/1.0/",
    "xmpNote": "http://ns.adobe.com/xmp/note/",
}
STANDARD, EXTENDED = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"


def packet(**facts: object) -> bytes:
    """XMP with attributes, GDepth__Near for GDepth:Near."""
    return RDF.format(description(**facts)).encode()


def description(**facts: object) -> str:
    names = {name.replace("__", ":"): value for name, value in facts.items()}
    spaces = " ".join(f'xmlns:{one}="{SPACES[one]}"' for one in {name.partition(":")[0] for name in names})
    return f"<rdf:Description {spaces} " + " ".join(f'{name}="{value}"' for name, value in names.items()) + "/>"


def picture(samples: np.ndarray, form: str = "PNG", **options: object) -> bytes:
    content = io.BytesIO()
    PillowImage.fromarray(samples).save(content, form, **options)
    return content.getvalue()


def jpeg(samples: np.ndarray, orientation: int = 1, xmp: bytes = b"", extended: bytes = b"", chunk: int = 40_000) -> bytes:
    """A JPEG with XMP, the extended part of it in segments that come last first."""
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    content = picture(samples, "JPEG", quality=95, exif=exif)
    segments = [segment(0xE1, STANDARD + xmp)] if xmp else []
    for at in reversed(range(0, len(extended), chunk)):
        head = EXTENDED + b"0123456789ABCDEF0123456789ABCDEF" + struct.pack(">II", len(extended), at)
        segments.append(segment(0xE1, head + extended[at : at + chunk]))
    return content[:2] + b"".join(segments) + content[2:]


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def gdepth(samples: np.ndarray, depth: np.ndarray, orientation: int = 1, is_extended: bool = False, **facts: object) -> bytes:
    """A photograph with GDepth; the sides of `depth` are those of the picture as it is stored."""
    data = base64.b64encode(picture(depth)).decode()
    told = {f"GDepth__{name}": value for name, value in {"Mime": "image/png", **facts}.items()}
    if is_extended:
        return jpeg(samples, orientation, packet(**told), packet(GDepth__Data=data))
    return jpeg(samples, orientation, packet(**told, GDepth__Data=data))


def container(samples: np.ndarray, items: Sequence[tuple[str, bytes]], orientation: int = 1, **facts: object) -> bytes:
    """Dynamic Depth: files behind the picture, listed in a directory."""
    listed = [description(Item__Mime="image/jpeg", Item__Semantic="Primary", Item__Length=0)]
    listed += [description(Item__Mime="image/png", Item__Semantic=name, Item__Length=len(data)) for name, data in items]
    told = description(**{f"DepthMap__{name}": value for name, value in facts.items()}) if facts else ""
    xmp = RDF.format(told + "".join(listed)).encode()
    return jpeg(samples, orientation, xmp) + b"".join(data for _, data in items)


def several(first: bytes, others: Sequence[tuple[bytes, int]], order: str = "<") -> bytes:
    """Several pictures in a file (MPF), each of the others with its kind."""
    head, count = 8 + 2 + 3 * 12 + 4, 1 + len(others)
    index_bytes = head + 16 * count
    base = 2 + 4 + 4  # of what the index counts from
    size = len(first) + 4 + 4 + index_bytes
    entries, offset = struct.pack(f"{order}IIIHH", 0x030000, size, 0, 0, 0), size - base
    for data, kind in others:
        entries += struct.pack(f"{order}IIIHH", kind, len(data), offset, 0, 0)
        offset += len(data)
    directory = struct.pack(f"{order}HHI4s", 0xB000, 7, 4, b"0100") + struct.pack(f"{order}HHII", 0xB001, 4, 1, count)
    directory += struct.pack(f"{order}HHII", 0xB002, 7, 16 * count, head)
    magic = b"II*\0" if order == "<" else b"MM\0*"
    index = magic + struct.pack(f"{order}I", 8) + struct.pack(f"{order}H", 3) + directory + bytes(4) + entries
    return first[:2] + segment(0xE2, b"MPF\0" + index) + first[2:] + b"".join(data for data, _ in others)


def samsung(samples: np.ndarray, depth: np.ndarray) -> bytes:
    """A portrait by two lenses: raw depth and the record that has its size, in the trailer."""
    extra = bytes(60) + b"\1\0\xff\xff" + struct.pack("<II", depth.shape[1], depth.shape[0]) + bytes(40)
    content, blocks = jpeg(samples), []
    for kind, name, data in ((0xAB3, b"DualShot_Extra_Info", extra), (0xAB1, b"DualShot_DepthMap_1", depth.tobytes())):
        block = struct.pack("<HHI", 0, kind, len(name)) + name + data
        blocks.append((kind, len(content), len(block)))
        content += block
    directory = b"SEFH" + struct.pack("<II", 101, len(blocks))
    for kind, start, size in blocks:
        directory += struct.pack("<HHII", 0, kind, len(content) - start, size)
    return content + directory + struct.pack("<I", len(directory)) + b"SEFT"


def heic(pictures: Sequence[tuple[np.ndarray, dict[str, object]]]) -> bytes:
    """Pictures in one HEIC, lossless; the first is the photograph."""
    import pillow_heif

    file = pillow_heif.HeifFile()
    for samples, info in pictures:
        mode = "L" if samples.ndim == 2 else "RGB"
        file.add_frombytes(mode, samples.shape[1::-1], samples.tobytes()).info.update(info)
    content = io.BytesIO()
    file.save(content, quality=-1, chroma=444, matrix_coefficients=0, color_primaries=1, transfer_characteristics=13)
    return content.getvalue()


def with_auxiliary(content: bytes, number: int, kind: str) -> bytes:
    """Make a picture of a HEIC an auxiliary image of the first: a reference, a property, and all behind moved."""
    top = boxes(content)
    meta = dict(boxes(top[b"meta"][4:]))
    ids = _ids(meta[b"iinf"])
    item, first = ids[number], ids[0]
    reference = box(b"auxl", struct.pack(">HHH", item, 1, first))
    meta[b"iref"] = meta.get(b"iref", bytes(4)) + reference
    properties = boxes(meta[b"iprp"])
    index = len(list(_children(properties[b"ipco"]))) + 1
    ipco = properties[b"ipco"] + box(b"auxC", bytes(4) + kind.encode() + b"\0")
    ipma = _with_property(properties[b"ipma"], item, index)
    meta[b"iprp"] = box(b"ipco", ipco) + box(b"ipma", ipma)
    grown = len(_meta(meta)) - len(top[b"meta"])
    meta[b"iloc"] = _moved(meta[b"iloc"], grown)
    top[b"meta"] = _meta(meta)
    return b"".join(box(name, body) for name, body in top.items())


def with_stereo(content: bytes, left: int, right: int) -> bytes:
    """Say that two pictures of a HEIC are a stereo pair."""
    top = boxes(content)
    meta = dict(boxes(top[b"meta"][4:]))
    ids = _ids(meta[b"iinf"])
    meta[b"grpl"] = box(b"ster", bytes(4) + struct.pack(">IIII", 1000, 2, ids[left], ids[right]))
    meta[b"iloc"] = _moved(meta[b"iloc"], len(_meta(meta)) - len(top[b"meta"]))
    top[b"meta"] = _meta(meta)
    return b"".join(box(name, body) for name, body in top.items())


def boxes(content: bytes) -> dict[bytes, bytes]:
    """The boxes of a range by their types; of several alike the last."""
    return dict(_children(content))


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body) + 8) + kind + body


def _children(content: bytes):
    at = 0
    while at < len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        yield kind, content[at + 8 : at + length]
        at += length


def _meta(children: dict[bytes, bytes]) -> bytes:
    return bytes(4) + b"".join(box(kind, body) for kind, body in children.items())


def _ids(iinf: bytes) -> list[int]:
    """The items that are pictures, in order."""
    entries = [body for _, body in _children(iinf[6:])]
    return [struct.unpack_from(">H", body, 4)[0] for body in entries if body[8:12] == b"hvc1"]


def _with_property(ipma: bytes, item: int, index: int) -> bytes:
    (count,) = struct.unpack_from(">I", ipma, 4)
    content, at = ipma[:8], 8
    for _ in range(count):
        number, length = struct.unpack_from(">HB", ipma, at)
        indices = ipma[at + 3 : at + 3 + length] + (bytes([index]) if number == item else b"")
        content += struct.pack(">HB", number, len(indices)) + indices
        at += 3 + length
    return content


def _moved(iloc: bytes, by: int) -> bytes:
    """Offsets into the file, of 4 bytes each in what pillow-heif writes, moved."""
    version, sizes = iloc[0], iloc[4]
    base = iloc[5] >> 4
    assert version < 2
    assert sizes == 0x44
    content, at = bytearray(iloc), 8
    for _ in range(struct.unpack_from(">H", iloc, 6)[0]):
        method = struct.unpack_from(">H", iloc, at + 2)[0] & 15 if version else 0
        at += (4 if version else 2) + 2 + base
        (extents,) = struct.unpack_from(">H", iloc, at)
        at += 2
        for _ in range(extents):
            if method == 0:
                struct.pack_into(">I", content, at, struct.unpack_from(">I", iloc, at)[0] + by)
            at += 8
    return bytes(content)
