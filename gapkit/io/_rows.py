"""The rows of a file, some at a time, whatever its format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from gapkit.errors import DataError
from gapkit.io._columns import batches_to_predictions, read_metadata, table_to_labels
from gapkit.predictions import Labels, Predictions

ROWS_PER_BATCH = 1 << 14


@dataclass(frozen=True)
class Rows:
    """Lists a video (`id, labels, confidences`) or a long table (`id, label, confidence`)."""

    schema: pa.Schema
    num_rows: int | None
    """None where only reading tells"""
    batches: Iterable[pa.RecordBatch]

    @property
    def is_long(self) -> bool:
        """Whether a row is one label of a video."""
        return "label" in self.schema.names and "labels" not in self.schema.names

    def to_table(self) -> pa.Table:
        """All of them."""
        return pa.Table.from_batches(list(self.batches), schema=self.schema)

    def to_predictions(self) -> Predictions:
        """All of them, as predictions."""
        if self.is_long:
            return _long_predictions(self.to_table())
        batches, num_rows = self.batches, self.num_rows
        if num_rows is None:
            batches = list(batches)
            num_rows = sum(map(len, batches))
        return batches_to_predictions(self.schema, num_rows, batches)

    def to_labels(self) -> Labels:
        """All of them, as labels."""
        if self.is_long:
            return _long_labels(self.to_table())
        return table_to_labels(self.to_table())

    def blocks(self, rows_per_block: int) -> Iterator[Predictions]:
        """Predictions of at most so many videos; a long table, in any order, is read whole."""
        if self.is_long:
            table = self.to_predictions()
            for start in range(0, max(len(table), 1), rows_per_block):
                yield _rows_of(table, slice(start, start + rows_per_block))
            return
        first_row = 0
        for whole in self.batches:
            for start in range(0, len(whole), rows_per_block):
                batch = whole.slice(start, rows_per_block)
                yield batches_to_predictions(self.schema, len(batch), [batch], first_row)
                first_row += len(batch)
        if first_row == 0:
            yield batches_to_predictions(self.schema, 0, [])


def rows_of_table(table: pa.Table, rows_per_batch: int = ROWS_PER_BATCH) -> Rows:
    """Those of a table that is there whole."""
    return Rows(table.schema, len(table), table.to_batches(max_chunksize=rows_per_batch))


def _rows_of(table: Predictions, rows: slice) -> Predictions:
    return Predictions(
        table.id_column[rows],
        table.labels[rows],
        table.confidences[rows],
        table.lengths[rows],
        num_classes=table.num_classes,
        provenance=table.provenance,
    )


def _long_predictions(table: pa.Table) -> Predictions:
    about = read_metadata(table.schema)
    return Predictions.from_long(table, num_classes=about.get("num_classes"))


def _long_labels(table: pa.Table) -> Labels:
    if "confidence" in table.column_names:
        raise DataError("a submission where labels were expected. Are the files swapped?")
    return Labels.from_long(table, num_classes=read_metadata(table.schema).get("num_classes"))
