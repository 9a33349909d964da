"""How libav is to open an input: takes its name and how it is read, gives format and options."""

from __future__ import annotations

from dataclasses import dataclass, field

from av.video.format import VideoFormat

from nvcodec.media.sequence import is_pattern, sequence
from nvcodec.options import OptionError, Reading
from nvcodec.words import counted


@dataclass(frozen=True)
class InputForm:
    """What `av.open` is told.

    Attributes:
        format: name of the container format, None where libav finds out.
        options: options of that format.
        missing: a sentence on pictures that are left out at the end, None where none are.

    """

    format: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    missing: str | None = None


def input_form(path: str | None, reading: Reading) -> InputForm:
    """The form of an input, by its path; None for a file object.

    Raises OptionError for a `reading` that does not fit it.
    """
    rate = {} if reading.fps is None else {"framerate": str(reading.fps)}
    if reading.raw is not None:
        name = reading.pixel_format or "yuv420p"
        try:
            VideoFormat(name)
        except ValueError as error:
            raise OptionError(f"{name!r} is no pixel format of FFmpeg") from error
        width, height = reading.raw
        size = {"video_size": f"{width}x{height}", "pixel_format": name}
        return InputForm("rawvideo", size | rate)
    if path is not None and is_pattern(path) and (images := sequence(path)) is not None:
        missing = None
        if images.beyond:
            missing = (
                f"the image sequence ends after {images.length}, before a gap:"
                f" {counted(images.beyond, 'image')} beyond it are left out"
            )
        return InputForm("image2", {"start_number": str(images.first)} | rate, missing)
    if rate:
        raise OptionError(
            "frames per second of the input can be set for raw video and image sequences only"
        )
    return InputForm()
