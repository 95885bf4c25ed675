"""How the labels of a made-up world look, sound and unfold.

Shape letters: E events of a label (1 or 2), T frames, D features (rgb, then audio).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SEGMENT = (0.25, 0.6)  # a label's least and greatest part of its video
EVENT = (0.2, 0.45)  # the same for each of the two events of an order label
LOUDNESS = (0.7, 1.3)  # how strongly a video shows a label
STRENGTH = 1.0  # of a prototype, for 1 feature; it falls with the fourth root of their number
BACKGROUND = 0.5  # standard deviation of what is constant in a video
NOISE = 0.6  # standard deviation of a frame


def make_events(
    rng: np.random.Generator, kinds: Sequence[str], rgb_size: int, audio_size: int
) -> tuple[NDArray[np.float32], ...]:
    """Return what each label adds to the frames of its events: (E, D), in the order of time."""
    num_features = rgb_size + audio_size
    scale_D = np.full(num_features, STRENGTH * audio_size**-0.25, np.float32)
    scale_D[:rgb_size] = STRENGTH * rgb_size**-0.25
    events: list[NDArray[np.float32]] = []
    for label, kind in enumerate(kinds):
        if kind == "order" and label % 2 == 1:
            events.append(events[-1][::-1])
            continue
        event_ED = rng.standard_normal((2 if kind == "order" else 1, num_features), np.float32)
        event_ED *= scale_D
        if kind == "audio":
            event_ED[:, :rgb_size] = 0
        elif kind != "both":
            event_ED[:, rgb_size:] = 0
        events.append(event_ED)
    return tuple(events)


def draw_frames(
    rng: np.random.Generator,
    shown: Sequence[NDArray[np.float32]],
    num_frames: int,
    num_features: int,
) -> NDArray[np.float32]:
    """Return frames (T, D) that show the events of labels, over a background and under noise.

    But for the order of events, videos are as likely backwards: the set of the frames tells
    nothing of which label of an order pair they show.
    """
    x_TD = rng.standard_normal((num_frames, num_features), np.float32)
    x_TD *= NOISE
    x_TD += BACKGROUND * rng.standard_normal(num_features, np.float32)
    for event_ED in shown:
        loudness = np.float32(rng.uniform(*LOUDNESS))
        for event_D, (start, stop) in zip(
            event_ED, draw_segments(rng, len(event_ED), num_frames), strict=True
        ):
            x_TD[start:stop] += loudness * event_D
    return x_TD


def draw_segments(
    rng: np.random.Generator, num_events: int, num_frames: int
) -> list[tuple[int, int]]:
    """Return (start, stop) of each event, in the order of time; apart where the frames suffice."""
    least, greatest = SEGMENT if num_events == 1 else EVENT
    lengths = np.maximum(1, rng.uniform(least, greatest, num_events) * num_frames).astype(np.int64)
    slack = max(0, num_frames - int(lengths.sum()))
    gaps = np.sort(rng.integers(0, slack + 1, num_events))
    starts = gaps + np.cumsum(lengths) - lengths
    starts = np.minimum(starts, num_frames - lengths)
    return [(int(a), int(a + n)) for a, n in zip(starts, lengths, strict=True)]


def quantise(x: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return x as YouTube-8M stores it: `x = q * 4/255 + 4/512 - 2`, cut to [0, 255]."""
    q = (x - np.float32(4 / 512 - 2)) * np.float32(255 / 4)
    np.rint(q, out=q)
    return np.clip(q, 0, 255, out=q).astype(np.uint8)
