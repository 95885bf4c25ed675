"""What a check of a file finds."""

from __future__ import annotations

from dataclasses import dataclass

QUANTILES = (0.0, 0.01, 0.5, 0.99, 1.0)


@dataclass(frozen=True, kw_only=True)
class Spot:
    """Where something was found."""

    row: int
    """Counted from 0, as in the errors of `read_predictions`"""
    id: str | None
    """None where it is missing, or could not be read"""
    line: int | None
    """Of a text, counted from 1, its header included; None in other formats"""
    what: str
    """What is wrong there, with its values"""

    def __str__(self) -> str:
        named = "" if self.id is None else f" (id {self.id!r})"
        line = "" if self.line is None else f", line {self.line}"
        return f"row {self.row}{named}{line}"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One kind of problem of a file, or something to know about it."""

    kind: str
    """A word for machines: 'id_twice', 'label_out_of_range', ..."""
    message: str
    """What is wrong with its values, where first, what to do, and where else"""
    count: int
    """Rows that have it; 1 where it is about the file"""
    spots: tuple[Spot, ...] = ()
    """The first few of these rows"""


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """What the rows that can be read look like."""

    num_videos: int
    """Rows of a list a video"""
    num_predictions: int
    """Labels of all of them; true ones in a labels file"""
    top_k: int
    """As the metadata say, else the longest row"""
    num_classes: int | None
    """As the metadata say"""
    labels_per_video: tuple[int, float, int]
    """Least, median, most"""
    first_confidences: tuple[float, ...] | None
    """Least, 1 %, 50 %, 99 % and most of the highest of each video; None where there are none"""
    confidences: tuple[float, ...] | None
    """The same of all; of more than 4 million all but the ends are rounded to 1 in 4,096"""
    most_predicted: tuple[tuple[int, int], ...]
    """Labels and in how many videos each stands, falling"""
    num_distinct_labels: int
    """How many labels stand in any video"""


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """How the videos of a file and the labelled ones go together."""

    num_labelled: int
    """Labelled videos"""
    missing: int
    """Labelled videos that the file lacks"""
    ignored: int
    """Videos of the file without labels"""


@dataclass(frozen=True, kw_only=True)
class FileReport:
    """All that a check of a file finds."""

    path: str
    """As it was given"""
    kind: str
    """'submission' or 'labels', by its columns"""
    format: str | None
    """'parquet', 'arrow', 'kaggle', ...; None where it can't be told"""
    problems: tuple[Finding, ...]
    """What `read_predictions` (`read_labels`) refuses; none where the file is fine"""
    notes: tuple[Finding, ...]
    """What it accepts, and a user should know"""
    distribution: Distribution | None
    """None where no row can be read"""
    coverage: Coverage | None
    """None where no labels were given, or no row can be read"""

    @property
    def is_ok(self) -> bool:
        """Whether there are no problems."""
        return not self.problems
