"""Frames of videos come upright and to the last bit."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from taichi_bokeh.io.video import rate_of, read_video, video_writer


def _write_lossless(path: Path, frames: np.ndarray, array_format: str, pixel_format: str, rate: Fraction) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=rate)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixel_format
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format=array_format)))
        container.mux(stream.encode())


@pytest.mark.parametrize(
    ("shape", "dtype", "array_format", "pixel_format"),
    [
        ((13, 17), np.uint8, "gray", "gray"),
        ((13, 17), np.uint16, "gray16le", "gray16le"),
        ((13, 17, 3), np.uint8, "rgb24", "bgr0"),
        ((13, 17, 3), np.uint16, "rgb48le", "gbrp16le"),
    ],
)
def test_lossless_videos_lose_nothing(tmp_path, shape, dtype, array_format, pixel_format):
    frames = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (3, *shape), dtype, endpoint=True)
    _write_lossless(tmp_path / "a.mkv", frames, array_format, pixel_format, Fraction(30000, 1001))
    found = list(read_video(tmp_path / "a.mkv"))
    np.testing.assert_array_equal(found, frames)
    assert found[0].dtype == dtype
    assert rate_of(tmp_path / "a.mkv") == Fraction(30000, 1001)


def test_grey_videos_are_read_as_one_number_a_pixel(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (2, 13, 17), np.uint8)
    _write_lossless(tmp_path / "a.mkv", np.repeat(frames[..., None], 3, -1), "rgb24", "bgr0", Fraction(25))
    np.testing.assert_array_equal(list(read_video(tmp_path / "a.mkv", grey=True)), frames)


@pytest.mark.parametrize(("cosine", "sine", "bright"), [(0, 1, "top"), (-1, 0, "right"), (0, -1, "bottom"), (1, 0, "left")])
def test_what_the_camera_noted_of_how_it_was_held_is_undone(tmp_path, cosine, sine, bright):
    """The matrix of an MP4's track maps (x, y) to (x cosine − y sine, x sine + y cosine), y down (ISO/IEC 14496-12)."""
    rgb = np.zeros((32, 48, 3), np.float32)
    rgb[:, :24] = 1
    with video_writer(tmp_path / "a.mp4", Fraction(25), overwrite=False) as append:
        append(rgb)
    content = bytearray((tmp_path / "a.mp4").read_bytes())
    matrix = [part * 0x10000 for part in (cosine, sine, 0, -sine, cosine, 0, 0, 0, 0x4000)]
    struct.pack_into(">9i", content, content.index(b"tkhd") + 44, *matrix)
    (tmp_path / "a.mp4").write_bytes(content)
    (frame,) = read_video(tmp_path / "a.mp4")
    halves = {"left": frame[:, :9], "right": frame[:, -9:], "top": frame[:9], "bottom": frame[-9:]}
    assert halves[bright].min() > 200


def test_a_video_with_the_curve_of_hdr_is_refused(tmp_path):
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p10le"
        stream.codec_context.color_trc = 16
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24").reformat(format="yuv420p10le")
        frame.color_trc = 16
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(ValueError, match=r"a\.mkv cannot be read: its colours are HDR \(PQ\)"):
        next(read_video(tmp_path / "a.mkv"))
