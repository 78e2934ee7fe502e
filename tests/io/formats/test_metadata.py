"""What a camera wrote is carried to the picture made of the photograph, but for what is no longer true of it."""

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, TiffImagePlugin
from PIL import Image as PillowImage

from taichi_bokeh.io import Metadata, read_image, read_metadata, write_image

EXIF, GPS, INTEROPERABILITY, THUMBNAIL = 34665, 34853, 0xA005, int(ExifTags.IFD.IFD1)
MAKE, ORIENTATION, ARTIST, COPYRIGHT = 271, 274, 315, 33432
EXPOSURE, COLOUR_SPACE, WIDTH, MAKER_NOTE, LENS = 33434, 0xA001, 0xA002, 37500, 42036


def _photograph(path: Path) -> None:
    """A small JPEG with EXIF of all kinds, lying on its side."""
    exif = PillowImage.Exif()
    exif[MAKE], exif[ORIENTATION], exif[COPYRIGHT] = "Maker", 6, "© Zoë".encode()
    exif[EXIF] = {
        EXPOSURE: TiffImagePlugin.IFDRational(1, 125),
        MAKER_NOTE: b"note\0" * 40,
        COLOUR_SPACE: 65535,
        WIDTH: 24,
        LENS: "50mm F1.8",
        INTEROPERABILITY: {1: "R98"},
    }
    exif[GPS] = {
        1: "N",
        2: (TiffImagePlugin.IFDRational(52), TiffImagePlugin.IFDRational(3), TiffImagePlugin.IFDRational(9, 2)),
    }
    PillowImage.new("RGB", (24, 16), (200, 100, 50)).save(path, exif=exif)


def _read(metadata: Metadata) -> PillowImage.Exif:
    exif = PillowImage.Exif()
    exif.load(metadata.exif)
    return exif


def _check(metadata: Metadata) -> None:
    exif = _read(metadata)
    assert exif[MAKE] == "Maker"
    assert exif[COPYRIGHT].encode("latin-1").decode() == "© Zoë"
    camera = exif.get_ifd(EXIF)
    assert (Fraction(camera[EXPOSURE]).limit_denominator(1000), camera[LENS]) == (Fraction(1, 125), "50mm F1.8")
    assert camera[MAKER_NOTE] == b"note\0" * 40
    assert exif.get_ifd(GPS)[2] == (52, 3, 4.5)
    assert camera[COLOUR_SPACE] == 1
    assert WIDTH not in camera
    assert ORIENTATION not in exif
    assert exif.get_ifd(INTEROPERABILITY) == {1: "R98"}


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    _photograph(tmp_path / "photo.jpg")
    return tmp_path / "photo.jpg"


def test_what_the_camera_wrote_is_read_and_what_is_no_longer_true_left_out(photograph):
    _check(read_metadata(photograph))


@pytest.mark.parametrize(("name", "bits"), [("a.jpg", 8), ("a.png", 8), ("a.png", 16), ("a.tif", 32)])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_it_is_carried_and_the_image_stays_upright(photograph, name, bits, with_alpha):
    if with_alpha and name == "a.jpg":
        name = "a.tiff"
        bits = 32
    path = photograph.parent / name
    rgb = read_image(photograph).rgb
    assert rgb.shape == (24, 16, 3)
    alpha = np.full(rgb.shape[:2], 0.5, np.float32) if with_alpha else None
    write_image(path, rgb, alpha, bits=bits, metadata=read_metadata(photograph))
    _check(read_metadata(path))
    image = read_image(path)
    assert image.rgb.shape == rgb.shape
    np.testing.assert_allclose(image.rgb, rgb, atol=0 if "tif" in name else 0.01)
    assert (image.alpha is None) == (alpha is None)


def test_a_tiff_is_whole_for_other_readers(photograph):
    path = photograph.parent / "a.tif"
    write_image(path, read_image(photograph).rgb, metadata=read_metadata(photograph))
    with tifffile.TiffFile(path) as file:
        assert file.pages[0].tags["Make"].value == "Maker"
        assert file.pages[0].tags["ExifTag"].value["ExposureTime"] == (1, 125)
        assert file.pages[0].tags["GPSTag"].value["GPSLatitudeRef"] == "N"
        np.testing.assert_array_equal(file.asarray(), read_image(photograph).rgb)


def test_the_thumbnail_is_left_behind(tmp_path):
    exif = PillowImage.Exif()
    exif[MAKE] = "Maker"
    block = exif.tobytes()
    directory = struct.pack(">HHHIII", 1, 0x0201, 4, 1, 80, 0)  # a second directory: where a JPEG begins
    at = block.index(bytes(4), 6 + 8 + 2 + 12)  # the first one's pointer to the next
    block = block[:at] + struct.pack(">I", len(block) - 6) + block[at + 4 :] + directory + b"\xff\xd8thumbnail\xff\xd9"
    PillowImage.new("RGB", (8, 8)).save(tmp_path / "a.jpg", exif=block)
    with PillowImage.open(tmp_path / "a.jpg") as file:
        assert file.getexif().get_ifd(THUMBNAIL) != {}
    metadata = read_metadata(tmp_path / "a.jpg")
    assert b"thumbnail" not in metadata.exif
    assert _read(metadata).get_ifd(THUMBNAIL) == {}
    assert _read(metadata)[MAKE] == "Maker"


def test_a_file_may_have_none(tmp_path):
    rgb = np.ones((4, 5, 3), np.float32)
    for name in ("a.png", "a.jpg", "a.tif", "a.exr", "a.pfm", "a.npy"):
        write_image(tmp_path / name, rgb, metadata=Metadata())
        assert _read(read_metadata(tmp_path / name)).get(MAKE) is None
    assert read_metadata(tmp_path / "a.exr") == read_metadata(tmp_path / "a.png") == Metadata()


def test_what_cannot_hold_it_is_refused(photograph, tmp_path):
    metadata = read_metadata(photograph)
    rgb = np.ones((4, 5, 3), np.float32)
    with pytest.raises(ValueError, match=r"metadata cannot be carried to \.exr files"):
        write_image(tmp_path / "a.exr", rgb, metadata=metadata)
    with pytest.raises(ValueError, match="metadata has 70006 bytes; expected at most 65533 for a JPEG"):
        write_image(tmp_path / "a.jpg", rgb, metadata=Metadata(b"Exif\0\0" + bytes(70000)))
    with pytest.raises(TypeError, match="metadata is of type bytes"):
        write_image(tmp_path / "a.png", rgb, metadata=metadata.exif)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_damaged_exif_is_one_error(tmp_path):
    PillowImage.new("RGB", (8, 8)).save(tmp_path / "a.jpg", exif=b"Exif\0\0not a directory of tags")
    with pytest.raises(ValueError, match=r"a\.jpg has EXIF that cannot be read"):
        read_metadata(tmp_path / "a.jpg")
    with pytest.raises(FileNotFoundError, match=r"missing\.jpg"):
        read_metadata(tmp_path / "missing.jpg")
