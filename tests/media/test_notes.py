"""Notes: one line for each fact, however many frames it is true of."""

from nvcodec.media.notes import Notes


def test_a_kind_is_one_line_that_counts_its_frames():
    notes = Notes()
    watched = notes.lines
    notes.add("dropped the alpha channel")
    for frame in range(3, 1000):
        notes.add("dropped the alpha channel")
        notes.at(frame, "size", f"scaled from {frame}x{frame}")
    assert watched == ["dropped the alpha channel", "frame 3 and 996 more: scaled from 3x3"]
    assert [note.record() for note in watched] == [
        {"text": "dropped the alpha channel"},
        {"text": "scaled from 3x3", "first_frame": 3, "frames": 997},
    ]
