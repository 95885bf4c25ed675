"""A made-up world of labelled videos: what labels there are and how each looks, sounds and unfolds.

Shape letters: C labels, E events of a label (1 or 2), T frames, D features (rgb, then audio).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gapkit.errors import UsageError

Kind = Literal["visual", "audible", "order"]
Split = Literal["train", "val"]

VERTICALS = (
    "Arts & Entertainment", "Autos & Vehicles", "Beauty & Fitness", "Books & Literature",
    "Business & Industrial", "Computers & Electronics", "Finance", "Food & Drink", "Games",
    "Health", "Hobbies & Leisure", "Home & Garden", "Internet & Telecom", "Jobs & Education",
    "Law & Government", "News", "People & Society", "Pets & Animals", "Real Estate", "Reference",
    "Science", "Shopping", "Sports", "Travel",
)  # fmt: skip
LABELS_PER_VERTICAL = 8  # as long as there are verticals left
KINDS_OF_PAIRS: tuple[Kind, ...] = ("visual", "visual", "visual", "audible", "order")
ZIPF_OFFSET = 3.0  # frequency of label r is proportional to 1 / (r + 1 + offset)
MEAN_FURTHER_LABELS = 2.0  # Poisson; every video has one label to begin with
DROP_CHANCE = 0.1  # that the machine misses a true label
FALSE_CHANCE = 0.1  # that it adds a false one to a video
SHORTEST = 0.4  # a video's least length, as a part of max_frames
SEGMENT = (0.25, 0.6)  # a label's least and greatest part of its video
EVENT = (0.2, 0.45)  # the same for each of the two events of an order label
LOUDNESS = (0.7, 1.3)  # how strongly a video shows a label
STRENGTH = 1.0  # of a prototype, for 1 feature; it falls with the fourth root of their number
WEAK_AUDIO = 0.3  # strength of the sound of a visual label
BACKGROUND = 0.5  # standard deviation of what is constant in a video
NOISE = 0.6  # standard deviation of a frame


@dataclass(frozen=True, kw_only=True)
class SynthVideo:
    """One video: what a data set says of it, what is true of it, and its frames."""

    id: str
    """Unique over both splits."""
    labels: NDArray[np.int64]
    """(K,) rising; with the noise of a machine that labels."""
    true_labels: NDArray[np.int64]
    """(J,) rising; what is in the frames."""
    rgb: NDArray[np.uint8]
    """(T, rgb_size), quantised as in YouTube-8M."""
    audio: NDArray[np.uint8]
    """(T, audio_size), quantised as in YouTube-8M."""


@dataclass(frozen=True, kw_only=True)
class SynthWorld:
    """The labels of a synthetic corpus; makes any of its videos alone.

    Equal arguments make equal worlds, and `video` depends on nothing else, so that videos can be
    made in any order.

    Raises
    ------
    UsageError
        A size or the seed is out of its range.

    Examples
    --------
    >>> world = SynthWorld(num_classes=20, rgb_size=8, audio_size=4, max_frames=10, seed=1)
    >>> [world.kinds.count(kind) for kind in ("visual", "audible", "order")]
    [12, 4, 4]
    >>> world.video("train", 0).rgb.shape[1]
    8
    """

    num_classes: int
    """Labels, 2 or more."""
    rgb_size: int = 1024
    """Values of a frame's picture, 1 or more."""
    audio_size: int = 128
    """Values of a frame's sound, 1 or more."""
    max_frames: int = 300
    """Frames of the longest video, 1 or more."""
    seed: int = 0
    """From 0 to 2**32 - 1."""

    def __post_init__(self) -> None:
        check_at_least("num_classes", self.num_classes, 2)
        check_at_least("rgb_size", self.rgb_size, 1)
        check_at_least("audio_size", self.audio_size, 1)
        check_at_least("max_frames", self.max_frames, 1)
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"--seed {self.seed} is out of range. It goes from 0 to {2**32 - 1}.")

    @cached_property
    def kinds(self) -> tuple[Kind, ...]:
        """What tells each label apart: its picture, its sound alone, or the order of its events.

        Labels 2j and 2j + 1 are of one kind; of kind 'order' they are a pair, which shares two
        events: one label shows them in one order, its partner in the other.
        """
        rng = self._rng("kinds")
        kinds: list[Kind] = []
        while len(kinds) < self.num_classes:
            pairs = [KINDS_OF_PAIRS[i] for i in rng.permutation(len(KINDS_OF_PAIRS))]
            if not kinds:  # The two most frequent labels differ too much in frequency for a pair.
                pairs.sort(key=lambda kind: kind != "visual")
                pairs[1:] = [pairs[1 + i] for i in rng.permutation(len(pairs) - 1)]
            kinds += [kind for kind in pairs for _ in range(2)]
        if self.num_classes % 2 == 1 and kinds[self.num_classes - 1] == "order":
            kinds[self.num_classes - 1] = "visual"  # It has no partner.
        return tuple(kinds[: self.num_classes])

    @cached_property
    def verticals(self) -> NDArray[np.int64]:
        """(C,) index into VERTICALS of each label; the labels 2j and 2j + 1 share one.

        Order pairs are dealt out apart from the rest, so that they don't crowd: a video shows but
        one label of them, and two pairs in a small vertical would take each other's videos.
        """
        rng = self._rng("verticals")
        num_verticals = min(max(self.num_classes // LABELS_PER_VERTICAL, 1), len(VERTICALS))
        used = rng.permutation(len(VERTICALS))[:num_verticals]
        verticals_C = np.empty(self.num_classes, np.int64)
        for labels in (np.flatnonzero(self._is_order), np.flatnonzero(~self._is_order)):
            num_pairs = (len(labels) + 1) // 2
            rounds = [rng.permutation(used) for _ in range(num_pairs // num_verticals + 1)]
            verticals_C[labels] = np.repeat(np.concatenate(rounds), 2)[: len(labels)]
        return verticals_C

    @cached_property
    def names(self) -> tuple[str, ...]:
        """A name for each label: its vertical and its rank in it, from 1."""
        seen = [0] * len(VERTICALS)
        names = []
        for vertical in self.verticals:
            seen[vertical] += 1
            names.append(f"{VERTICALS[vertical]} {seen[vertical]}")
        return tuple(names)

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """(C,) sum 1; how often each label starts a video, by Zipf's law."""
        weights = 1 / (np.arange(self.num_classes) + 1 + ZIPF_OFFSET)
        return np.asarray(weights / weights.sum(), np.float64)

    @cached_property
    def events(self) -> tuple[NDArray[np.float32], ...]:
        """What each label adds to the frames of its events: (E, D), in the order of time."""
        rng = self._rng("events")
        num_features = self.rgb_size + self.audio_size
        scale_D = np.full(num_features, STRENGTH * self.audio_size**-0.25, np.float32)
        scale_D[: self.rgb_size] = STRENGTH * self.rgb_size**-0.25
        is_rgb_D = np.arange(num_features) < self.rgb_size
        events: list[NDArray[np.float32]] = []
        for label, kind in enumerate(self.kinds):
            if kind == "order" and label % 2 == 1:
                events.append(events[-1][::-1])
                continue
            event_ED = rng.standard_normal((2 if kind == "order" else 1, num_features), np.float32)
            event_ED *= scale_D
            if kind == "audible":
                event_ED[:, is_rgb_D] = 0
            else:
                event_ED[:, ~is_rgb_D] *= WEAK_AUDIO if kind == "visual" else 0
            events.append(event_ED)
        return tuple(events)

    @cached_property
    def _is_order(self) -> NDArray[np.bool_]:
        return np.array([kind == "order" for kind in self.kinds])

    def video(self, split: Split, index: int) -> SynthVideo:
        """Return one video of a split, the same whichever were made before it."""
        rng = self._rng(split, index)
        true_labels = self._draw_labels(rng)
        labels = self._observe(rng, true_labels)
        low = max(1, round(SHORTEST * self.max_frames))
        num_frames = int(rng.integers(low, self.max_frames + 1))
        q_TD = quantise(self.draw_frames(rng, true_labels, num_frames))
        return SynthVideo(
            id=f"{split}-{index:06d}",
            labels=np.sort(labels),
            true_labels=np.sort(true_labels),
            rgb=q_TD[:, : self.rgb_size],
            audio=q_TD[:, self.rgb_size :],
        )

    def draw_frames(
        self, rng: np.random.Generator, labels: NDArray[np.int64], num_frames: int
    ) -> NDArray[np.float32]:
        """Return frames (T, D) that show the labels, over a background and under noise.

        But for the order of events, videos are as likely backwards: the set of the frames tells
        nothing of which label of an order pair they show.
        """
        num_features = self.rgb_size + self.audio_size
        x_TD = rng.standard_normal((num_frames, num_features), np.float32)
        x_TD *= NOISE
        x_TD += BACKGROUND * rng.standard_normal(num_features, np.float32)
        for label in labels:
            loudness = np.float32(rng.uniform(*LOUDNESS))
            event_ED = self.events[label]
            for event_D, (start, stop) in zip(
                event_ED, draw_segments(rng, len(event_ED), num_frames), strict=True
            ):
                x_TD[start:stop] += loudness * event_D
        return x_TD

    def _draw_labels(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return the true labels of a video, the likeliest first; all of one vertical.

        At most one is told by order. With two the frames would no longer be the same backwards.
        """
        vertical = self.verticals[rng.choice(self.num_classes, p=self.weights)]
        members = np.flatnonzero(self.verticals == vertical)
        num_labels = 1 + rng.poisson(MEAN_FURTHER_LABELS)
        keys = rng.exponential(size=len(members)) / self.weights[members]
        drawn = members[np.argsort(keys)]
        is_order = self._is_order[drawn]
        kept: NDArray[np.int64] = drawn[~is_order | (np.cumsum(is_order) == 1)]
        return kept[:num_labels]

    def _observe(
        self, rng: np.random.Generator, true_labels: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return the labels that a fallible machine gives."""
        is_kept = rng.random(len(true_labels)) >= DROP_CHANCE
        is_kept[0] |= not is_kept.any()
        labels = true_labels[is_kept]
        if rng.random() >= FALSE_CHANCE:
            return labels
        is_candidate = self.verticals == self.verticals[true_labels[0]]
        is_candidate[true_labels] = False
        if self._is_order[true_labels].any():
            is_candidate &= ~self._is_order
        candidates = np.flatnonzero(is_candidate)
        if len(candidates) == 0:
            return labels
        weights = self.weights[candidates]
        return np.append(labels, rng.choice(candidates, p=weights / weights.sum()))

    def _rng(self, stream: str, index: int = 0) -> np.random.Generator:
        """Return the generator of one stream; numpy pads keys with 0, so all have three parts."""
        streams = ("train", "val", "kinds", "verticals", "events")
        return np.random.default_rng([self.seed, streams.index(stream), index])


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


def check_at_least(name: str, value: int, least: int) -> None:
    """Raise UsageError where an option is too small."""
    if value < least:
        option = "--" + name.replace("_", "-")
        raise UsageError(f"{option} {value} is too small. It must be {least} or more.")
