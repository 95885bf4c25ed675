"""`gapkit convert`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gapkit.cli._console import plural
from gapkit.errors import DataError, UsageError

if TYPE_CHECKING:
    from gapkit.predictions import Predictions


def convert(
    source: Annotated[str, typer.Argument(metavar="IN", help="A submission or a labels file.")],
    target: Annotated[
        str, typer.Argument(metavar="OUT", help="Where to write; the suffix chooses the format.")
    ],
    top_k: Annotated[
        int | None, typer.Option("--top-k", help="Labels to keep of each video.", min=1)
    ] = None,
    num_classes: Annotated[
        int | None, typer.Option("--num-classes", help="Where the file does not say it.", min=1)
    ] = None,
) -> None:
    """Write a submission, or labels, in another format.

    Submissions: .parquet, .arrow, .csv and .csv.gz (Kaggle's), .run (TREC). Labels: .parquet,
    .arrow, .csv, .csv.gz, .qrels (TREC).
    """
    from gapkit.io import holds_labels

    if Path(source).exists() and Path(target).exists() and Path(source).samefile(target):
        raise UsageError(f"{target} is the file to convert. Choose another name.")
    if holds_labels(source):
        _convert_labels(source, target, top_k, num_classes)
    else:
        _convert_submission(source, target, top_k, num_classes)


def _convert_labels(source: str, target: str, top_k: int | None, num_classes: int | None) -> None:
    from gapkit.io import read_labels, write_labels
    from gapkit.predictions import Labels

    if top_k is not None:
        raise UsageError(f"--top-k {top_k}: {source} holds labels, which have no order.")
    labels = read_labels(source)
    if num_classes is not None:
        labels = Labels(
            labels.id_column,
            labels.to_arrow()["labels"],
            num_classes=_agreed(source, labels.num_classes, num_classes),
            label_names=labels.label_names,
        )
    write_labels(target, labels)
    print(f"{target}: {plural(len(labels), 'video')}, {plural(labels.num_positives, 'label')}")


def _convert_submission(
    source: str, target: str, top_k: int | None, num_classes: int | None
) -> None:
    """Block by block: a file of any size takes the memory of a block, and of its ids."""
    import pyarrow as pa

    from gapkit._checks import check_ids
    from gapkit.io import open_submission, scan_predictions

    blocks = scan_predictions(source)
    first = next(blocks)
    num_classes = _agreed(source, first.num_classes, num_classes)
    ids, num_predictions = [], 0
    with open_submission(
        target,
        num_classes=num_classes,
        top_k=min(first.top_k, top_k or first.top_k),
        provenance=first.provenance,
    ) as write:
        block: Predictions | None = first
        while block is not None:
            if top_k is not None:
                block = block.top(top_k)
            write(_with_num_classes(source, block, num_classes))
            ids.append(block.id_column)
            num_predictions += int(block.lengths.sum())
            block = next(blocks, None)
        try:
            check_ids(pa.chunked_array(ids))
        except DataError as error:
            raise DataError(f"{source}: {error}") from None
    count = plural(sum(map(len, ids)), "video")
    print(f"{target}: {count}, {plural(num_predictions, 'prediction')}")


def _agreed(source: str, known: int | None, given: int | None) -> int | None:
    if given is not None and known is not None and given != known:
        raise UsageError(f"--num-classes {given}: {source} has num_classes={known}.")
    return known if given is None else given


def _with_num_classes(source: str, block: Predictions, num_classes: int | None) -> Predictions:
    """The block, its labels checked where only the command line says how many there are."""
    from gapkit.predictions import Predictions

    if block.num_classes == num_classes:
        return block
    try:
        return Predictions(
            block.id_column,
            block.labels,
            block.confidences,
            block.lengths,
            num_classes=num_classes,
        )
    except DataError as error:
        raise DataError(f"{source}: {error}") from None
