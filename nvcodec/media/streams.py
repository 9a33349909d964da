"""Which stream of a container is its picture."""

from __future__ import annotations

from typing import Final

from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from nvcodec.media.notes import Notes
from nvcodec.media.pixel_format import is_gray

# With these formats FFmpeg would render any text file as a picture of a terminal.
_TEXT_ART_FORMATS: Final = frozenset({"tty", "bin", "xbin", "adf", "idf"})

_IMAGE_BRANDS: Final = frozenset({"avif", "avis", "mif1", "msf1", "heic", "heix", "hevc", "hevx"})
"""Major brands of ISO files of images, whose alpha channel is a gray stream of its own."""


class NoPictureError(ValueError):
    """The container has no picture that can be decoded. The message says why."""


def picture_stream(container: InputContainer, notes: Notes) -> tuple[VideoStream, set[int]]:
    """(the stream to decode, indices of the streams of its alpha channel).

    Cover pictures, alpha channels and tiles are never taken for it.

    Raises NoPictureError if there is none.
    """
    if container.format.name in _TEXT_ART_FORMATS:
        raise NoPictureError("not a video")
    best = container.streams.best("video")
    if not isinstance(best, VideoStream) or best.disposition & Disposition.attached_pic:
        raise NoPictureError("it has no video track")
    if best.disposition & Disposition.dependent:
        raise NoPictureError(
            "its picture is in tiles, which are not put together: convert it to PNG or JPEG first"
        )
    alpha: set[int] = set()
    if container.metadata.get("major_brand") in _IMAGE_BRANDS:
        coloured = [s for s in container.streams.video if not _is_gray(s)]
        if coloured:
            # Of streams of one size, a sequence has all pictures, of which one is there as an image
            # too; else the picture comes before what is added to it.
            best = max(coloured, key=lambda s: (s.width * s.height, s.frames))
            alpha = {s.index for s in container.streams.video if _is_gray(s)}
    if alpha or best.metadata.get("alpha_mode") == "1":
        notes.add("dropped the alpha channel")
    if best.disposition & Disposition.multilayer:
        notes.add("dropped the second view of a stereo video")
    # PyAV gives None for a codec without a decoder, though its declared type does not say so.
    if best.codec_context is None:
        raise NoPictureError("no decoder for its video track")
    return best, alpha


def _is_gray(stream: VideoStream) -> bool:
    pixel_format = stream.codec_context.format if stream.codec_context is not None else None
    return pixel_format is not None and is_gray(pixel_format)
