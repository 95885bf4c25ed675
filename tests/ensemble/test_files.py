"""Averages of files: streamed, spilled, refused; equal to the average of tables."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gapkit.ensemble import average, ensemble_files, read_weights
from gapkit.ensemble._averaging import lockstep, plan
from gapkit.ensemble._members import spill
from gapkit.ensemble._members.sources import FileMember
from gapkit.errors import DataError, UsageError
from gapkit.io import read_predictions, write_predictions
from gapkit.predictions import Predictions

NUM_VIDEOS = 700


def make(rng, *, ids=None, k=6, num_classes=40, ragged=True, **options):
    ids = [f"v{n}" for n in range(NUM_VIDEOS)] if ids is None else ids
    label_NK = np.argsort(rng.random((len(ids), num_classes)), axis=1)[:, :k]
    lengths = rng.integers(0, k + 1, len(ids)) if ragged else None
    confidence_NK = rng.random((len(ids), k))
    return Predictions(ids, label_NK, confidence_NK, lengths, num_classes=num_classes, **options)


def shuffled_ids(rng, count=NUM_VIDEOS, known=NUM_VIDEOS):
    return [f"v{n}" for n in rng.permutation(known)[:count]]


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 64 videos, parts of a few, spills on disk at once."""
    monkeypatch.setattr(plan, "_MOST_ROWS_PER_BLOCK", 64)
    monkeypatch.setattr(plan, "_FEWEST_ROWS_PER_BLOCK", 1)
    monkeypatch.setattr(lockstep, "_ENTRIES_IN_CACHE", 100)
    monkeypatch.setattr(spill, "_HELD_BYTES", 0)


@pytest.fixture
def members(tmp_path):
    """Paths and tables: aligned, shuffled, longer, of other widths and formats."""
    rng = np.random.default_rng(0)
    tables = {
        "a.parquet": make(rng),
        "b.parquet": make(rng, k=3),
        "c.parquet": make(rng, ids=shuffled_ids(rng, 650, 900), k=9),
        "d.arrow": make(rng, ids=shuffled_ids(rng)),
        "e.csv": make(rng, ids=shuffled_ids(rng, 300, 800), k=1, ragged=False),
        "f.csv.gz": make(rng, k=2, ragged=False),
        "g.parquet": make(rng, ragged=False),
    }
    for name, table in tables.items():
        write_predictions(tmp_path / name, table)
    return {tmp_path / name: table for name, table in tables.items()}


@pytest.mark.parametrize("mode", ["mean", "logit"])
@pytest.mark.parametrize("weights", [None, [3, 1, 0.5, 1, 2, 0.25, 3]])
def test_files_equal_tables(members, tmp_path, small_blocks, mode, weights):
    before = set(tmp_path.iterdir())
    output = tmp_path / "out.parquet"
    result = ensemble_files(list(members), output, weights, mode=mode)
    tables = list(members.values())
    expected = average(tables, weights, mode=mode)
    assert read_predictions(output) == expected
    assert result.num_videos == len(expected)
    assert result.missing == tuple(len(expected) - len(table) for table in tables)
    assert result.missing[2] > 0
    assert set(tmp_path.iterdir()) == {*before, output}
    assert read_weights(output) == result.weights
    assert result.weights.members == tuple(map(str, members))
    assert average(list(members), weights, mode=mode) == expected


def test_paths_and_tables_go_together(members):
    tables = list(members.values())
    mixed = [path if n % 2 else table for n, (path, table) in enumerate(members.items())]
    assert average(mixed) == average(tables)
    assert average(mixed).provenance["members"][:2] == ["member 1", str(list(members)[1])]


@given(
    rows_per_block=st.integers(5, 200),
    entries=st.integers(1, 2000),
    threads=st.integers(1, 5),
    streams=st.integers(0, 4),
    in_memory=st.sampled_from([0, 1 << 10, 1 << 20]),
    held=st.sampled_from([0, 1 << 20]),
)
@settings(max_examples=25, deadline=None)
def test_blocks_threads_and_spills_do_not_matter(
    tmp_path_factory, rows_per_block, entries, threads, streams, in_memory, held
):
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("files")
    paths = [folder / f"{n}.parquet" for n in range(5)]
    ids = [f"v{n}" for n in range(80)]
    tables = [make(rng, ids=ids) for _ in range(3)]
    tables.append(make(rng, ids=shuffled_ids(rng, 60, 90), k=8))
    tables.append(make(rng, ids=shuffled_ids(rng, 80, 80), k=2))
    for path, table in zip(paths, tables, strict=True):
        write_predictions(path, table)
    expected = average(tables, top_k=5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "_MOST_ROWS_PER_BLOCK", rows_per_block)
        patch.setattr(plan, "_FEWEST_ROWS_PER_BLOCK", 1)
        patch.setattr(plan, "num_threads", lambda _: threads)
        patch.setattr(lockstep, "num_threads", lambda _: threads)
        patch.setattr(lockstep, "_ENTRIES_IN_CACHE", entries)
        patch.setattr(lockstep, "MAX_STREAMS", streams)
        patch.setattr(spill, "_BYTES_IN_MEMORY", in_memory)
        patch.setattr(spill, "_HELD_BYTES", held)
        assert average(paths, top_k=5) == expected


def test_aligned_files_are_streamed_and_others_spilled_once(members, tmp_path, monkeypatch):
    """No block holds more rows than it may; what is aligned is never written anywhere."""
    monkeypatch.setattr(plan, "_MOST_ROWS_PER_BLOCK", 64)
    monkeypatch.setattr(plan, "_FEWEST_ROWS_PER_BLOCK", 1)
    sizes, spilled = [], []
    read, lane = FileMember.read, FileMember.lane

    def counting_read(self, rows, num_rows):
        pieces = read(self, rows, num_rows)
        sizes.append(sum(len(piece.begins) for piece in pieces))
        return pieces

    def counting_lane(self, place_N, spills):
        spilled.append((Path(self.path).name, place_N is not None))
        return lane(self, place_N, spills)

    monkeypatch.setattr(FileMember, "read", counting_read)
    monkeypatch.setattr(FileMember, "lane", counting_lane)
    parquet = [path for path in members if path.suffix == ".parquet"]
    ensemble_files(parquet, tmp_path / "out.parquet")
    assert max(sizes) == 64
    assert sorted(spilled) == [
        ("a.parquet", False),
        ("b.parquet", False),
        ("c.parquet", True),
        ("g.parquet", False),
    ]


def test_spills_lie_beside_the_output_and_go_away(members, tmp_path, small_blocks):
    seen = []

    def progress(done, total, what):
        seen.append((what, done, total, len(list((tmp_path / "new").glob(".gapkit-*/*")))))

    (tmp_path / "new").mkdir()
    ensemble_files(list(members), tmp_path / "new" / "out.parquet", progress=progress)
    assert [(done, total) for what, done, total, _ in seen if what == "ids"] == [
        (n, 7) for n in range(1, 8)
    ]
    (last,) = {total for what, _, total, _ in seen if what == "videos"}
    assert seen[-1][:3] == ("videos", last, last)
    assert seen[-1][3] > 0
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out.parquet"]


@pytest.mark.parametrize("list_type", [pa.list_, pa.large_list])
@pytest.mark.parametrize("value_type", [pa.uint16(), pa.uint32(), pa.int64()])
@pytest.mark.parametrize("id_type", [pa.string(), pa.large_string(), "dictionary"])
def test_files_of_other_writers_are_averaged(tmp_path, list_type, value_type, id_type):
    rng = np.random.default_rng(0)
    table = make(rng)
    write_predictions(tmp_path / "a.parquet", table)
    other = pq.read_table(tmp_path / "a.parquet")
    ids = other["id"].dictionary_encode() if id_type == "dictionary" else other["id"].cast(id_type)
    other = pa.table(
        {
            "more": np.arange(len(other)),
            "confidences": other["confidences"].cast(list_type(pa.float32())),
            "labels": other["labels"].cast(list_type(value_type)),
            "id": ids,
        }
    )
    pq.write_table(other, tmp_path / "b.parquet", row_group_size=123)
    result = average([tmp_path / "a.parquet", tmp_path / "b.parquet"])
    assert result == average([table, table])


def test_a_first_member_without_videos_names_none(tmp_path):
    empty, table = Predictions([], [], []), make(np.random.default_rng(0))
    expected = average([table, empty])
    assert average([empty, table]) == expected
    for name, member in (("a", empty), ("b", table)):
        write_predictions(tmp_path / f"{name}.parquet", member)
    assert average([tmp_path / "a.parquet", tmp_path / "b.parquet"]) == expected


def test_rows_without_entries_are_averaged(tmp_path, small_blocks):
    empty = Predictions(["a", "b"], [[0], [0]], [[0.5], [0.5]], [0, 0])
    write_predictions(tmp_path / "a.parquet", empty)
    result = average([tmp_path / "a.parquet", empty])
    assert result.lengths.tolist() == [0, 0]


def test_labels_of_both_widths_go_together(tmp_path):
    rng = np.random.default_rng(0)
    narrow = make(rng, ids=["a", "b", "c"])
    wide = Predictions(["c", "a", "b"], [[70_000], [1], [2]], [[0.5], [0.25], [0.125]])
    narrow = Predictions(narrow.ids, narrow.labels, narrow.confidences, narrow.lengths)
    for name, table in (("n", narrow), ("w", wide)):
        write_predictions(tmp_path / f"{name}.parquet", table)
    expected = average([narrow, wide])
    assert expected.labels.dtype == np.uint32
    assert average([tmp_path / "n.parquet", tmp_path / "w.parquet"]) == expected


def test_no_videos_make_a_file_without_rows(tmp_path):
    write_predictions(tmp_path / "a.parquet", Predictions([], [], [], num_classes=5))
    result = ensemble_files([tmp_path / "a.parquet"] * 2, tmp_path / "out.parquet")
    assert (result.num_videos, result.top_k) == (0, 0)
    assert len(read_predictions(tmp_path / "out.parquet")) == 0


def rewrite(path, **columns):
    table = pq.read_table(path)
    for name, values in columns.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, pa.array(values, table.schema.field(name).type))
    pq.write_table(table, path, row_group_size=100)


def broken(path, fault):
    """Makes the last row but one of a good file bad; tells the words of its error."""
    table = pq.read_table(path)
    row = len(table) - 2
    name = table["id"][row].as_py()
    labels, confidences = table["labels"].to_pylist(), table["confidences"].to_pylist()
    place = f"row {row} \\(id '{name}'\\)"
    if fault == "nan":
        labels[row], confidences[row] = [3, 4], [0.5, float("nan")]
    elif fault == "twice":
        labels[row], confidences[row] = [3, 3], [0.5, 0.25]
    elif fault == "range":
        labels[row], confidences[row] = [3, 40], [0.5, 0.25]
    elif fault == "uneven":
        labels[row], confidences[row] = [3, 4], [0.5]
    elif fault == "null":
        labels[row], place = None, f"row {row}"
    elif fault == "id":
        ids = table["id"].to_pylist()
        ids[row] = ids[1]
        rewrite(path, id=ids)
        return f"row {row}: id '{ids[1]}'"
    rewrite(path, labels=labels, confidences=confidences)
    return place


@pytest.mark.parametrize("fault", ["nan", "twice", "range", "uneven", "null", "id"])
@pytest.mark.parametrize("name", ["a.parquet", "b.parquet", "c.parquet"])
def test_a_fault_names_file_row_and_id(members, tmp_path, small_blocks, fault, name):
    """In a late block, of the first file, a streamed one and a spilled one."""
    paths = [path for path in members if path.suffix == ".parquet"]
    words = broken(tmp_path / name, fault)
    output = tmp_path / "out.parquet"
    output.write_bytes(b"what was there")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(DataError, match=rf"{name}: .*{words}"):
        ensemble_files(paths, output)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", ["b.parquet", "c.parquet", "d.arrow", "f.csv.gz"])
@pytest.mark.parametrize("damage", ["cut", "zeros"])
def test_a_damaged_file_is_named_and_the_output_stays(
    members, tmp_path, small_blocks, name, damage
):
    content = (tmp_path / name).read_bytes()
    half = len(content) // 2
    if damage == "cut":
        (tmp_path / name).write_bytes(content[:half])
    else:
        (tmp_path / name).write_bytes(content[:half] + bytes(200) + content[half + 200 :])
    output = tmp_path / "out.parquet"
    output.write_bytes(b"what was there")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    if damage == "zeros" and name == "d.arrow":
        return  # Arrow IPC has no checksums: zeros may be what was meant
    with pytest.raises(DataError, match=name):
        ensemble_files(list(members), output)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_members_that_do_not_go_together_are_refused(members, tmp_path):
    first = next(iter(members))
    output = tmp_path / "out.parquet"
    write_predictions(tmp_path / "wide.parquet", make(np.random.default_rng(1), num_classes=50))
    with pytest.raises(DataError, match=r"wide\.parquet has num_classes=50 .*num_classes=40"):
        ensemble_files([first, tmp_path / "wide.parquet"], output)
    write_predictions(tmp_path / "far.parquet", make(np.random.default_rng(1), ids=["x", "y"]))
    with pytest.raises(DataError, match=r"far\.parquet: no other member .* 2 videos.*'x'"):
        ensemble_files([first, tmp_path / "far.parquet"], output)
    with pytest.raises(DataError, match=r"c\.parquet: lacks \d+ of \d+ videos"):
        ensemble_files([tmp_path / "c.parquet", first], output, strict=True)
    assert not output.exists()


def test_logit_names_the_place_of_what_is_no_probability(members, tmp_path, small_blocks):
    path = tmp_path / "b.parquet"
    confidences = pq.read_table(path)["confidences"].to_pylist()
    row = next(n for n in range(690, 600, -1) if len(confidences[n]) == 2)
    confidences[row][0] = 1.25
    rewrite(path, confidences=confidences)
    paths = [tmp_path / "a.parquet", path]
    with pytest.raises(DataError, match=rf"b\.parquet: row {row} \(id 'v{row}'\): .* is 1.25"):
        ensemble_files(paths, tmp_path / "out.parquet", mode="logit")
    ensemble_files(paths, tmp_path / "out.parquet")


@pytest.mark.parametrize("output", ["a.parquet", "link.parquet", "hard.parquet", "x/../a.parquet"])
def test_an_input_as_output_is_refused(members, tmp_path, output):
    first = next(iter(members))
    (tmp_path / "x").mkdir()
    (tmp_path / "link.parquet").symlink_to(first)
    (tmp_path / "hard.parquet").hardlink_to(first)
    content = first.read_bytes()
    with pytest.raises(UsageError, match="is among the files"):
        ensemble_files(list(members), tmp_path / output)
    assert first.read_bytes() == content
