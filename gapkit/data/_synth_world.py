"""A made-up world of labelled videos: what labels there are, and which a video has.

Shape letters: C labels, E events of a label (1 or 2), T frames, D features (rgb, then audio).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gapkit.data._synth_frames import draw_frames, make_events, quantise
from gapkit.errors import UsageError

Kind = Literal["visual", "audio", "order", "both"]
Split = Literal["train", "val"]

VERTICALS = (
    "Arts & Entertainment", "Autos & Vehicles", "Beauty & Fitness", "Books & Literature",
    "Business & Industrial", "Computers & Electronics", "Finance", "Food & Drink", "Games",
    "Health", "Hobbies & Leisure", "Home & Garden", "Internet & Telecom", "Jobs & Education",
    "Law & Government", "News", "People & Society", "Pets & Animals", "Real Estate", "Reference",
    "Science", "Shopping", "Sports", "Travel",
)  # fmt: skip
LABELS_PER_VERTICAL = 8  # as long as there are verticals left
KINDS_OF_PAIRS: tuple[Kind, ...] = ("visual", "visual", "audio", "order", "both")
ZIPF_OFFSET = 3.0  # frequency of label r is proportional to 1 / (r + 1 + offset)
MEAN_FURTHER_LABELS = 2.0  # Poisson; every video has one label to begin with
DROP_CHANCE = 0.1  # that the machine misses a true label
FALSE_CHANCE = 0.1  # that it adds a false one to a video
SHORTEST = 0.4  # a video's least length, as a part of max_frames


@dataclass(frozen=True, kw_only=True)
class SynthVideo:
    """One video: what a data set says of it, what is true of it, and its frames."""

    id: str
    """Unique over both splits."""
    labels: NDArray[np.int64]
    """(K,) rising; with the noise of a machine that labels."""
    true_labels: NDArray[np.int64]
    """(J,) rising; what is in the frames."""
    decoy: tuple[int, str] | None
    """A label that is not there, and the feature that shows its half all the same."""
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
    >>> [world.kinds.count(kind) for kind in ("visual", "audio", "order", "both")]
    [8, 4, 4, 4]
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
        """What tells each label apart.

        'visual': its picture. 'audio': its sound. 'both': that its picture and its sound are there
        together, since either alone is as often a decoy. 'order': the order of its two pictures.

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
        return make_events(self._rng("events"), self.kinds, self.rgb_size, self.audio_size)

    @cached_property
    def _is_order(self) -> NDArray[np.bool_]:
        return np.array([kind == "order" for kind in self.kinds])

    @cached_property
    def _is_both(self) -> NDArray[np.bool_]:
        return np.array([kind == "both" for kind in self.kinds])

    def labels(self, split: Split, index: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return a video's labels, observed and true, as `video` has them, without its frames."""
        true_labels, labels = self._draw_both(self._rng(split, index))
        return np.sort(labels), np.sort(true_labels)

    def video(self, split: Split, index: int) -> SynthVideo:
        """Return one video of a split, the same whichever were made before it."""
        rng = self._rng(split, index)
        true_labels, labels = self._draw_both(rng)
        low = max(1, round(SHORTEST * self.max_frames))
        num_frames = int(rng.integers(low, self.max_frames + 1))
        decoy = self._draw_decoy(rng, true_labels)
        q_TD = quantise(self.draw_frames(rng, true_labels, num_frames, decoy))
        return SynthVideo(
            id=f"{split}-{index:06d}",
            labels=np.sort(labels),
            true_labels=np.sort(true_labels),
            decoy=decoy,
            rgb=q_TD[:, : self.rgb_size],
            audio=q_TD[:, self.rgb_size :],
        )

    def draw_frames(
        self,
        rng: np.random.Generator,
        labels: NDArray[np.int64],
        num_frames: int,
        decoy: tuple[int, str] | None = None,
    ) -> NDArray[np.float32]:
        """Return frames (T, D) that show the labels, over a background and under noise."""
        shown = [self.events[label] for label in labels]
        if decoy is not None:
            half_ED = self.events[decoy[0]].copy()
            hidden = slice(self.rgb_size, None) if decoy[1] == "rgb" else slice(self.rgb_size)
            half_ED[:, hidden] = 0
            shown.append(half_ED)
        return draw_frames(rng, shown, num_frames, self.rgb_size + self.audio_size)

    def false_chances(
        self, true_labels: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the false labels that a video may get, and the chance of each if it gets one."""
        is_candidate = self.verticals == self.verticals[true_labels[0]]
        is_candidate[true_labels] = False
        if self._is_order[true_labels].any():
            is_candidate &= ~self._is_order
        candidates = np.flatnonzero(is_candidate)
        weights = self.weights[candidates]
        return candidates, weights / max(weights.sum(), 1e-300)

    def _draw_both(self, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        true_labels = self._draw_labels(rng)
        return true_labels, self._observe(rng, true_labels)

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
        """Return the labels that a fallible machine gives: at least one that is true."""
        is_kept = rng.random(len(true_labels)) >= DROP_CHANCE
        if not is_kept.any():
            is_kept[rng.integers(len(true_labels))] = True
        labels = true_labels[is_kept]
        if rng.random() >= FALSE_CHANCE:
            return labels
        candidates, chances = self.false_chances(true_labels)
        if len(candidates) == 0:
            return labels
        return np.append(labels, rng.choice(candidates, p=chances))

    def _draw_decoy(
        self, rng: np.random.Generator, true_labels: NDArray[np.int64]
    ) -> tuple[int, str] | None:
        """Return half of a label that takes both halves, from the video's vertical.

        One a video: then such a label's picture is about as often a decoy as the label itself.
        """
        is_candidate = self._is_both & (self.verticals == self.verticals[true_labels[0]])
        is_candidate[true_labels] = False
        candidates = np.flatnonzero(is_candidate)
        if len(candidates) == 0:
            return None
        weights = self.weights[candidates]
        label = int(rng.choice(candidates, p=weights / weights.sum()))
        return label, ("rgb", "audio")[int(rng.integers(2))]

    def _rng(self, stream: str, index: int = 0) -> np.random.Generator:
        """Return the generator of one stream; numpy pads keys with 0, so all have three parts."""
        streams = ("train", "val", "kinds", "verticals", "events")
        return np.random.default_rng([self.seed, streams.index(stream), index])


def check_at_least(name: str, value: int, least: int) -> None:
    """Raise UsageError where an option is too small."""
    if value < least:
        option = "--" + name.replace("_", "-")
        raise UsageError(f"{option} {value} is too small. It must be {least} or more.")
