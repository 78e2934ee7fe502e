"""Frames of videos come upright and to the last bit."""

import re
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from taichi_bokeh.apps.sequence.frames_out import output_timing
from taichi_bokeh.io.video import Timing, holds_sound, read_video, timing_of, video_writer


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
    assert timing_of(tmp_path / "a.mkv").rate == Fraction(30000, 1001)


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


_WEIGHTS = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}  # of red and blue in luma: BT.709, 601, 2020


def _write_yuv(path: Path, rgb: tuple[float, ...], matrix: int, full: bool, deep: bool, rows: int, tagged: bool) -> None:
    """One colour in 4:4:4, 8 or 10 bits, by the equations of BT.601 and its successors."""
    red, blue = _WEIGHTS[matrix]
    luma = red * rgb[0] + (1 - red - blue) * rgb[1] + blue * rgb[2]
    chroma = (rgb[2] - luma) / (2 * (1 - blue)), (rgb[0] - luma) / (2 * (1 - red))
    top, unit = (1023, 4) if deep else (255, 1)
    values = [luma * top, *(top * c + (top + 1) / 2 for c in chroma)]
    if not full:
        values = [(16 + 219 * luma) * unit, *((128 + 224 * c) * unit for c in chroma)]
    dtype = np.dtype("<u2") if deep else np.dtype("u1")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, rows, "yuv444p10le" if deep else "yuv444p"
        frame = av.VideoFrame(32, rows, stream.pix_fmt)
        for plane, value in zip(frame.planes, values, strict=True):
            plane.update(np.full(plane.buffer_size // dtype.itemsize, min(top, round(value)), dtype).tobytes())
        for one in (stream.codec_context, frame):
            one.color_range = 2 if full else 1
            if tagged:
                one.colorspace, one.color_primaries = matrix, matrix
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(("matrix", "rows", "tagged"), [(1, 16, True), (6, 720, True), (1, 720, False), (6, 16, False)])
def test_colours_go_back_through_the_matrix_and_the_range_they_came_by(tmp_path, full, deep, matrix, rows, tagged):
    for rgb in ((1, 0, 0), (0, 1, 0), (0.5, 0.5, 0.5)):
        _write_yuv(tmp_path / "a.mkv", rgb, matrix, full, deep, rows, tagged)
        (frame,) = read_video(tmp_path / "a.mkv")
        assert frame.dtype == (np.uint16 if deep else np.uint8)
        np.testing.assert_allclose(frame[5, 5] / np.iinfo(frame.dtype).max, rgb, atol=2.5 / 255)


def test_bt2020_without_hdr_comes_to_srgb(tmp_path):
    _write_yuv(tmp_path / "a.mkv", (0.5, 0.5, 0.5), 9, full=False, deep=True, rows=16, tagged=True)
    np.testing.assert_allclose(next(read_video(tmp_path / "a.mkv"))[5, 5] / 65535, 0.5, atol=2e-3)
    _write_yuv(tmp_path / "a.mkv", (0.4, 0.7, 0.4), 9, full=False, deep=True, rows=16, tagged=True)
    red, green, _ = next(read_video(tmp_path / "a.mkv"))[5, 5] / 65535
    assert red < 0.3
    assert green > 0.7


@pytest.mark.parametrize(
    ("array_format", "pixel_format", "dtype"), [("rgba", "rgba", np.uint8), ("rgba64le", "rgba64be", np.uint16)]
)
def test_an_alpha_channel_comes_with_the_frames(tmp_path, array_format, pixel_format, dtype):
    frames = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (2, 13, 17, 4), dtype, endpoint=True)
    with av.open(str(tmp_path / "a.mov"), "w") as container:
        stream = container.add_stream("png", rate=25)
        stream.height, stream.width, stream.pix_fmt = 13, 17, pixel_format
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format=array_format)))
        container.mux(stream.encode())
    np.testing.assert_array_equal(list(read_video(tmp_path / "a.mov")), frames)


def _with_sound(path: Path, times: tuple[int, ...], codec: str = "aac") -> None:
    """Frames of a tenth of a second at these times, the first of them later than 0, and a second of sound."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 10)
        sound = container.add_stream(codec, rate=44100)
        sound.layout = "mono"
        for time in times:
            frame = av.VideoFrame.from_ndarray(np.zeros((16, 32, 3), np.uint8), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        for block in range(43):
            wave = np.sin(np.arange(1024) / 20).astype(np.float32)[None]
            heard = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            heard.sample_rate, heard.pts, heard.time_base = 44100, 1024 * block, Fraction(1, 44100)
            container.mux(sound.encode(heard))
        container.mux(sound.encode())


def _heard(path: Path) -> bytes:
    with av.open(str(path)) as container:
        return b"".join(bytes(packet) for packet in container.demux(audio=0))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("times", [(0, 1, 2, 9), (0, 1, 2, 3)])
def test_uneven_times_and_sound_are_kept(tmp_path, suffix, times):
    _with_sound(tmp_path / "a.mkv", times)
    timing = timing_of(tmp_path / "a.mkv")
    assert timing.rate == 10
    assert timing.times == (None if times[-1] == 3 else [Fraction(time, 10) for time in times])
    assert holds_sound(tmp_path / f"b{suffix}", tmp_path / "a.mkv")
    with video_writer(tmp_path / f"b{suffix}", Fraction(10), False, timing.times, timing.sound) as append:
        for _ in times:
            append(np.zeros((16, 32, 3), np.float32))
    with av.open(str(tmp_path / f"b{suffix}")) as container:
        found = [float(frame.time) for frame in container.decode(video=0)]
    np.testing.assert_allclose(found, np.array(times) / 10, atol=2e-3)
    assert _heard(tmp_path / f"b{suffix}") == _heard(tmp_path / "a.mkv")


def test_what_becomes_of_times_and_sound_is_said(tmp_path):
    _with_sound(tmp_path / "a.mkv", (0, 1, 2), "wavpack")
    timing, said = timing_of(tmp_path / "a.mkv")._replace(times=[Fraction(0)]), []
    assert output_timing(timing, None, tmp_path / "b.mkv", said.append) == timing
    assert output_timing(timing, None, tmp_path / "f_%d.png", said.append).sound is None
    assert output_timing(timing, Fraction(5), tmp_path / "b.mkv", said.append) == Timing(Fraction(5))
    assert output_timing(timing._replace(times=None), None, tmp_path / "b.mp4", said.append).sound is None
    expected = [
        "uneven, and kept",
        "sound is copied",
        "times of frames are left out",
        "as --fps changes",
        r"\.mp4 files cannot hold",
    ]
    assert len(said) == len(expected)
    for line, words in zip(said, expected, strict=True):
        assert re.search(words, line)
