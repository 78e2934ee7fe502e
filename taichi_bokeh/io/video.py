"""Videos in, through imageio, and out, by PyAV (FFmpeg), whose quality and colours imageio cannot set."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io import to_srgb8
from taichi_bokeh.storage.atomic_files import whole_file

Array = NDArray[np.float32]

VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv")  # that can be written
_READ = (*VIDEO_SUFFIXES, ".webm", ".avi", ".mpg", ".mpeg", ".mts")
_HDR = {16: "PQ", 18: "HLG"}  # transfer curves (ITU-T H.273) that are not the sRGB-like one of ordinary video
_SRGB_CURVE, _BT709, _LIMITED = 13, 1, 1  # of the same tables; 1 is FFmpeg's number of the range 16 to 235
_NEUTRAL = 0.06  # of full scale: how far the three channels of a grey video may be apart after compression
_QUALITY = "17"  # x264's constant rate factor: hardly to be told from the image


def is_video(path: str | Path) -> bool:
    """Tell whether a name is that of a video."""
    return Path(path).suffix.lower() in _READ


def read_video(path: Path, grey: bool = False) -> Iterator[NDArray[Any]]:
    """Yield the frames, upright, one after the other, uint8 or uint16: sRGB, [H, W, 3] or of grey formats [H, W].

    Args:
        path: the file.
        grey: it holds one number a pixel; all frames are [H, W].

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read; its colours are HDR, which needs a curve of its own; or it is to be grey and has colours.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    import av

    try:
        facts = _facts(path)
        for frame in iio.imiter(path, plugin="pyav", format=facts.array_format, thread_type="FRAME"):
            pixels = np.ascontiguousarray(np.rot90(frame, facts.quarter_turns))
            yield _single_channel(pixels) if grey else pixels
    except (av.FFmpegError, ValueError) as error:
        what = error.strerror if isinstance(error, av.FFmpegError) else error
        raise ValueError(f"{path} cannot be read: {what}; expected a whole video that FFmpeg knows") from None


def rate_of(path: Path) -> Fraction | None:
    """Read the frames a second of a video that can be read; None where it does not say."""
    return _facts(path).rate


class _Facts(NamedTuple):
    """What imageio does not tell of a video.

    Attributes:
        array_format: FFmpeg's name of the layout, of 8 or 16 bits a channel, in which its frames lose nothing.
        quarter_turns: counter-clockwise, after which they are upright, as a camera that was held so has it noted.
        rate: frames a second, or None.
    """

    array_format: str
    quarter_turns: int
    rate: Fraction | None


def _facts(path: Path) -> _Facts:
    import av

    with av.open(str(path)) as container:
        if not container.streams.video:
            raise ValueError("it holds no images")
        stream = container.streams.video[0]
        frame = next(container.decode(stream), None)
        if frame is None:
            raise ValueError("it holds no frame")
        if frame.color_trc in _HDR:
            raise ValueError(f"its colours are HDR ({_HDR[frame.color_trc]}); convert it to SDR, or to linear images, first")
        bits = max(component.bits for component in frame.format.components)
        names = ("gray", "gray16le") if frame.format.name.startswith("gray") else ("rgb24", "rgb48le")
        rate = None if stream.average_rate is None else Fraction(stream.average_rate)
        return _Facts(names[bits > 8], round(frame.rotation / 90), rate)


@contextmanager
def video_writer(path: Path, rate: Fraction, overwrite: bool) -> Iterator[Callable[[Array], None]]:
    """Yield what appends an image [H, W, 3], linear light, to a new video; it appears when all are in, or not at all.

    H.264 in 4:2:0, 8 bits, colours of BT.709 with the sRGB curve. An image of odd width or height gets its last column or row
    twice, as 4:2:0 has none.

    Raises:
        OSError: the file exists, or cannot be written.
        ModuleNotFoundError: PyAV is not installed.
    """
    import av

    with whole_file(path, overwrite) as temporary:
        movflags = {"movflags": "+faststart"} if path.suffix.lower() != ".mkv" else {}
        with av.open(str(temporary), "w", options=movflags) as container:
            stream = container.add_stream("libx264", rate=rate, options={"crf": _QUALITY, "preset": "medium"})
            stream.pix_fmt = "yuv420p"
            context = stream.codec_context
            context.color_range, context.colorspace = _LIMITED, _BT709
            context.color_primaries, context.color_trc = _BT709, _SRGB_CURVE

            def append(image: Array) -> None:
                pixels = to_srgb8(image)
                pixels = np.pad(pixels, ((0, pixels.shape[0] % 2), (0, pixels.shape[1] % 2), (0, 0)), mode="edge")
                if not context.is_open:
                    stream.height, stream.width = pixels.shape[:2]
                elif pixels.shape[:2] != (stream.height, stream.width):
                    raise ValueError(f"{path}: all images of a video must be of one size")
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                container.mux(stream.encode(_in_bt709(frame)))

            yield append
            container.mux(stream.encode())


def check_encoder() -> None:
    """Refuse to write a video where there is no encoder for it.

    Raises:
        ModuleNotFoundError: PyAV is not installed.
        ValueError: its FFmpeg has no x264.
    """
    import av

    if "libx264" not in av.codecs_available:
        raise ValueError("this PyAV has no libx264 to write H.264 with; write numbered images instead (-o frame_%04d.png)")


def _in_bt709(frame: Any) -> Any:
    frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
    frame.color_range, frame.colorspace = _LIMITED, _BT709
    frame.color_primaries, frame.color_trc = _BT709, _SRGB_CURVE
    return frame


def _single_channel(pixels: NDArray[Any]) -> NDArray[Any]:
    if pixels.ndim == 2:
        return pixels
    if np.percentile(np.ptp(pixels, axis=2), 99) > _NEUTRAL * np.iinfo(pixels.dtype).max:
        raise ValueError("it has colours, and must have one number a pixel (grey)")
    return np.ascontiguousarray(pixels[..., 1])
