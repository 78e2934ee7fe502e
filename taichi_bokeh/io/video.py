"""Videos in, through imageio, and out, by PyAV (FFmpeg), whose quality and colours imageio cannot set."""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io.colours import to_rec709
from taichi_bokeh.io.srgb import srgb_decode, srgb_encode, to_srgb8
from taichi_bokeh.storage.atomic_files import whole_file

Array = NDArray[np.float32]

_MUXERS = {".mp4": "mp4", ".mov": "mov", ".m4v": "mp4", ".mkv": "matroska"}
VIDEO_SUFFIXES = tuple(_MUXERS)  # that can be written
_READ = (*VIDEO_SUFFIXES, ".webm", ".avi", ".mpg", ".mpeg", ".mts")
_HDR = {16: "PQ", 18: "HLG"}  # transfer curves (ITU-T H.273) that are not the sRGB-like one of ordinary video
_SRGB_CURVE, _BT709, _LIMITED = 13, 1, 1  # of the same tables; 1 is FFmpeg's number of the range 16 to 235
_NEUTRAL = 0.06  # of full scale: how far the three channels of a grey video may be apart after compression
_UNSAID, _HD_ROWS = 2, 720  # of the same tables; how many rows BT.709 is taken for where a video does not say
_BT2020 = 9
_BT2020_PRIMARIES = (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290)
_LAYOUTS = {"gray": ("gray", "gray16le"), "rgb": ("rgb24", "rgb48le"), "rgba": ("rgba", "rgba64le")}  # of 8 bits, of more
_UNEVEN = Fraction(1, 2)  # of a frame: how far off its time may be by rounding
_TICK = Fraction(1, 90_000)  # s, as MPEG counts time
_QUALITY = "17"  # x264's constant rate factor: hardly to be told from the image


def is_video(path: str | Path) -> bool:
    """Tell whether a name is that of a video."""
    return Path(path).suffix.lower() in _READ


def read_video(path: Path, grey: bool = False) -> Iterator[NDArray[Any]]:
    """Yield the frames, upright, one after the other, uint8 or uint16: sRGB, [H, W, 3], with alpha [H, W, 4], or grey [H, W].

    Where the video does not say which matrix its colours went through, it is that of BT.709 from 720 rows on, as players have
    it, and of BT.601 below. Colours in the primaries of BT.2020 are brought to sRGB.

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
        how: Any = {"format": facts.array_format, "thread_type": "FRAME", "filter_sequence": facts.filters}
        for frame in iio.imiter(path, plugin="pyav", **how):
            pixels = np.ascontiguousarray(np.rot90(frame, facts.quarter_turns))
            pixels = _from_bt2020(pixels) if facts.is_wide else pixels
            yield _single_channel(pixels) if grey else pixels
    except (av.FFmpegError, ValueError) as error:
        what = error.strerror if isinstance(error, av.FFmpegError) else error
        raise ValueError(f"{path} cannot be read: {what}; expected a whole video that FFmpeg knows") from None


class Timing(NamedTuple):
    """When the frames of a video are shown, and what is heard.

    Attributes:
        rate: frames a second on average, or None where it does not say.
        times: of each frame in seconds from the first one on, where they are uneven; else None.
        sound: the video, where it has sound; else None.
        hides_alpha: it has an alpha channel beside its frames, which FFmpeg's decoder leaves out.
    """

    rate: Fraction | None
    times: list[Fraction] | None = None
    sound: Path | None = None
    hides_alpha: bool = False


def timing_of(path: Path) -> Timing:
    """Read the timing of a video that can be read."""
    import av

    rate = _facts(path).rate
    stream: Any
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stamps = [packet.pts * stream.time_base for packet in container.demux(stream) if packet.pts is not None]
        sound = path if container.streams.audio else None
        hides_alpha = stream.metadata.get("alpha_mode") == "1"
    times = [stamp - min(stamps) for stamp in sorted(stamps)]
    is_even = rate is None or all(abs(time - index / rate) <= _UNEVEN / rate for index, time in enumerate(times))
    return Timing(rate, None if is_even else times, sound, hides_alpha)


class _Facts(NamedTuple):
    """What imageio does not tell of a video.

    Attributes:
        array_format: FFmpeg's name of the layout, of 8 or 16 bits a channel, in which its frames lose nothing.
        quarter_turns: counter-clockwise, after which they are upright, as a camera that was held so has it noted.
        rate: frames a second, or None.
        filters: what FFmpeg does with the frames before.
        is_wide: its colours are in the primaries of BT.2020.
    """

    array_format: str
    quarter_turns: int
    rate: Fraction | None
    filters: list[tuple[str, dict[str, str]]] | None
    is_wide: bool


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
        parts = frame.format.components
        deep = max(part.bits for part in parts) > 8
        name = "gray" if frame.format.name.startswith("gray") else "rgba" if any(part.is_alpha for part in parts) else "rgb"
        rate = None if stream.average_rate is None else Fraction(stream.average_rate)
        is_unsaid = frame.colorspace == _UNSAID and not frame.format.is_rgb and frame.height >= _HD_ROWS
        filters = [("setparams", {"colorspace": "bt709"})] if is_unsaid else None
        is_wide = frame.color_primaries == _BT2020 and name != "gray"
        return _Facts(_LAYOUTS[name][deep], round(frame.rotation / 90), rate, filters, is_wide)


def _from_bt2020(pixels: NDArray[Any]) -> NDArray[Any]:
    """Bring colours of BT.2020 to sRGB, in the same type."""
    top = np.iinfo(pixels.dtype).max
    light = to_rec709(srgb_decode(pixels[..., :3]), _BT2020_PRIMARIES)
    colours = (np.clip(srgb_encode(light), 0, 1) * top + 0.5).astype(pixels.dtype)
    return np.concatenate([colours, pixels[..., 3:]], axis=-1)


@contextmanager
def video_writer(
    path: Path,
    rate: Fraction,
    overwrite: bool,
    times: Sequence[Fraction] | None = None,
    sound: Path | None = None,
) -> Iterator[Callable[[Array], None]]:
    """Yield what appends an image [H, W, 3], linear light, to a new video; it appears when all are in, or not at all.

    H.264 in 4:2:0, 8 bits, colours of BT.709 with the sRGB curve. An image of odd width or height gets its last column or row
    twice, as 4:2:0 has none.

    Args:
        path: the file.
        rate: frames a second.
        overwrite: replace a file of that name.
        times: when each image is shown, in seconds from the first one on; None: evenly, by the rate.
        sound: a video, whose first sound is copied as it is; one that `holds_sound` of.

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
            if times is not None:
                context.time_base = _TICK
            with _copier(container, sound) as copy_sound:
                moments = iter(times) if times is not None else (index / rate for index in count())

                def append(image: Array) -> None:
                    pixels = to_srgb8(image)
                    pixels = np.pad(pixels, ((0, pixels.shape[0] % 2), (0, pixels.shape[1] % 2), (0, 0)), mode="edge")
                    if not context.is_open:
                        stream.height, stream.width = pixels.shape[:2]
                    elif pixels.shape[:2] != (stream.height, stream.width):
                        raise ValueError(f"{path}: all images of a video must be of one size")
                    frame = _in_bt709(av.VideoFrame.from_ndarray(pixels, format="rgb24"))
                    now = next(moments)
                    if times is not None:
                        frame.pts, frame.time_base = round(now / _TICK), _TICK
                    container.mux(stream.encode(frame))
                    copy_sound(now)

                yield append
                container.mux(stream.encode())
                copy_sound(None)


@contextmanager
def _copier(container: Any, sound: Path | None) -> Iterator[Callable[[Fraction | None], None]]:
    """Yield what copies the sound of a video into an open one: up to this time of its frames, or all that is left."""
    if sound is None:
        yield lambda until: None
        return
    import av

    with av.open(str(sound)) as source:
        video, stream = source.streams.video[0], source.streams.audio[0]
        copied = container.add_stream_from_template(stream)
        start = (video.start_time or 0) * (video.time_base or 0)
        packets: Iterator[Any] = (packet for packet in source.demux(stream) if packet.dts is not None)
        ahead = [next(packets, None)]

        def copy(until: Fraction | None) -> None:
            while (packet := ahead[0]) is not None and (until is None or packet.dts * packet.time_base - start <= until):
                shift = round(start / packet.time_base)
                packet.dts -= shift
                packet.pts = None if packet.pts is None else packet.pts - shift
                packet.stream = copied
                container.mux(packet)
                ahead[0] = next(packets, None)

        yield copy


def holds_sound(path: Path, sound: Path) -> bool:
    """Tell whether a video of this name can hold the sound of another, as it is."""
    import av

    try:
        kind = _MUXERS[path.suffix.lower()]
        with av.open(io.BytesIO(), "w", format=kind) as container, _copier(container, sound) as copy_sound:
            copy_sound(Fraction(0))
    except (av.FFmpegError, ValueError):
        return False
    return True


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
