"""The sample formats that each model renders (spec 4.1, 7.1, 11.1), and so those of its encoder."""

from __future__ import annotations

from nvcodec.format import MODEL_NAMES, Header, UnsupportedError
from nvcodec.format.header import HYBRID, NIRVANA, SINE
from nvcodec.picture import SAMPLE_FORMATS, YUV420P8, SampleFormat

RENDERED: dict[int, tuple[SampleFormat, ...]] = {
    SINE: (YUV420P8,),
    HYBRID: SAMPLE_FORMATS,
    NIRVANA: SAMPLE_FORMATS,
}
"""By the number of the model (spec 2.4)."""

_CLAUSES = {SINE: "4.1", HYBRID: "7.1", NIRVANA: "11.1"}


def require_rendered(header: Header) -> None:
    """Raise UnsupportedError unless the model of a header renders its sample format."""
    rendered = RENDERED[header.model]
    if header.sample_format not in rendered:
        raise UnsupportedError(
            f"this version renders the {MODEL_NAMES[header.model]} model in"
            f" {', '.join(map(str, rendered))} only, not in {header.sample_format}",
            rule=_CLAUSES[header.model],
        )
