"""Sequences out: a video, or numbered images."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

from taichi_bokeh.apps.common import Say
from taichi_bokeh.apps.photo.scene import Result
from taichi_bokeh.io import check_output, write_image
from taichi_bokeh.io.images import check_format
from taichi_bokeh.io.video import VIDEO_SUFFIXES, Timing, check_encoder, holds_sound, is_video, video_writer

FPS = Fraction(25)  # where nothing says another rate
_NUMBER = re.compile(r"%(?:0\d)?d")


def output_timing(timing: Timing, fps: Fraction | None, output: Path, say: Say) -> Timing:
    """Choose the timing of the output of a video, and say what is not as it was, and what is kept of what is uneven."""
    if timing.hides_alpha:
        say("the video's alpha channel is left out: FFmpeg's decoder does not give it")
    if not is_video(output):
        lost = ["the sound"] * (timing.sound is not None) + ["the times of frames"] * (timing.times is not None)
        if lost:
            say(f"{' and '.join(lost)} {'is' if lost == ['the sound'] else 'are'} left out: numbered images have none")
        return Timing(timing.rate)
    if fps is not None and (fps != timing.rate or timing.times is not None):
        if timing.sound is not None:
            say("the sound is left out, as --fps changes the time")
        return Timing(fps)
    if timing.times is not None:
        say("the times of frames are uneven, and kept")
    if timing.sound is None:
        return timing
    if not holds_sound(output, timing.sound):
        say(f"the sound is left out: {output.suffix} files cannot hold it as it is (-o NAME.mkv can)")
        return timing._replace(sound=None)
    say("the sound is copied")
    return timing


def is_frames(output: Path) -> bool:
    """Whether a name is that of a video or a pattern of numbered images."""
    return is_video(output) or _NUMBER.search(output.name) is not None


def check_frames(output: Path, numbers: Sequence[int], bits: int | None, overwrite: bool) -> None:
    """Refuse an output that cannot or must not be written, before any work is done for it.

    Args:
        output: a video, or a pattern.
        numbers: of the images, which go into the pattern.
        bits: a channel.
        overwrite: replace files.

    Raises:
        ValueError: it is no name for a sequence, or not of a format that can be written.
        OSError: it exists, or its folder does not.
    """
    if is_video(output):
        if output.suffix.lower() not in VIDEO_SUFFIXES:
            raise ValueError(f"-o {output}: videos are written as {', '.join(VIDEO_SUFFIXES)}")
        if bits not in (None, 8):
            raise ValueError(f"--bits {bits} is for images: a video has 8 bits")
        check_encoder()
        check_output(output, overwrite)
        return
    if len(_NUMBER.findall(output.name)) != 1:
        raise ValueError(f"-o {output} is one image, and must be a video (pull.mp4) or a pattern (frame_%04d.png)")
    for number in numbers:
        path = numbered(output, number)
        check_format(path, bits)
        check_output(path, overwrite)


def numbered(pattern: Path, number: int) -> Path:
    """The file of an image: frame_%04d.png and 7 give frame_0007.png."""
    return pattern.with_name(_NUMBER.sub(lambda found: found[0] % number, pattern.name))


@contextmanager
def frame_writer(
    output: Path, numbers: Sequence[int], timing: Timing, bits: int | None, overwrite: bool
) -> Iterator[Callable[[Result], None]]:
    """Yield what writes the next image, for a video an opaque one; a video appears when it is whole.

    Raises:
        OSError: a file exists or cannot be written.
    """
    if is_video(output):
        with video_writer(output, timing.rate or FPS, overwrite, timing.times, timing.sound) as append:
            yield lambda result: append(result.for_file(output)[0].rgb)
        return
    left = iter(numbers)

    def write(result: Result) -> None:
        image, metadata = result.for_file(output)
        write_image(numbered(output, next(left)), *image, overwrite=overwrite, bits=bits, metadata=metadata)

    yield write
