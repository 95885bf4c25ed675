"""Splits from tables of embeddings: Parquet and .npz."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from import_cases import contents

from gapkit.data import FrameStore, check_split, import_embeddings
from gapkit.errors import DataError

IDS = ["a", "b", "c", "d"]
LABELS = [[0, 2], [], [1], [4, 3]]
LENGTHS = [1, 6, 3, 8]
FRAMES = pa.list_(pa.list_(pa.uint8()))


def vectors(dtype=np.float32):
    rng = np.random.default_rng(0)
    return {"clip": rng.random((4, 5)).astype(dtype), "text": rng.random((4, 2)).astype(dtype)}


def frames():
    """Of each video, by feature."""
    rng = np.random.default_rng(1)
    return [
        {
            "rgb": rng.integers(0, 256, (T, 3), np.uint8),
            "audio": rng.integers(0, 9, (T, 2), np.uint8),
        }
        for T in LENGTHS
    ]


def write_parquet(path, columns, **options):
    pq.write_table(pa.table({"id": IDS, "labels": LABELS} | columns), path, **options)
    return path


def check_vectors(path, expected):
    store = FrameStore(path)
    assert (store.level, store.ids.tolist()) == ("video", IDS)
    assert [row.tolist() for row in store.labels.labels] == LABELS
    batch = store.crops(range(4))
    assert list(batch.features) == list(expected)
    for name, values in expected.items():
        assert batch.features[name].dtype == np.float32
        np.testing.assert_array_equal(batch.features[name], values.astype(np.float32))
    assert check_split(path).is_ok


def check_frames(path, stride):
    store = FrameStore(path)
    assert (store.level, store.stride, store.num_frames.tolist()) == ("frame", stride, LENGTHS)
    assert [row.tolist() for row in store.labels.labels] == LABELS
    for row, expected in enumerate(frames()):
        batch = store.crops(row, stride=1)
        for name, values in expected.items():
            np.testing.assert_array_equal(batch.features[name][0], values)
    assert check_split(path).is_ok


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("type_", ["list", "large_list", "fixed"])
def test_lists_of_a_parquet_file_are_features(tmp_path, dtype, type_):
    values = {name: (100 * v).astype(dtype) for name, v in vectors(np.float64).items()}
    columns = {}
    for name, values_ND in values.items():
        flat, size = pa.array(values_ND.ravel()), values_ND.shape[1]
        offsets = np.arange(5) * size
        if type_ == "fixed":
            columns[name] = pa.FixedSizeListArray.from_arrays(flat, size)
        elif type_ == "list":
            columns[name] = pa.ListArray.from_arrays(offsets.astype(np.int32), flat)
        else:
            columns[name] = pa.LargeListArray.from_arrays(offsets, flat)
    file = write_parquet(tmp_path / "a.parquet", columns | {"title": IDS}, row_group_size=3)
    result = import_embeddings([file], tmp_path / "val", num_classes=5)
    check_vectors(tmp_path / "val", values)
    assert result.ignored == ["title"]


@pytest.mark.parametrize("stride", [1, 3])
def test_lists_of_lists_are_frames(tmp_path, stride):
    columns = {
        name: pa.array([video[name].tolist() for video in frames()], FRAMES)
        for name in ("rgb", "audio")
    }
    file = write_parquet(tmp_path / "a.parquet", columns, row_group_size=2)
    import_embeddings([file], tmp_path / "val", num_classes=5, stride=stride)
    check_frames(tmp_path / "val", stride)


@pytest.mark.parametrize("labels", ["dense", "offsets"])
def test_an_npz_of_vectors(tmp_path, labels):
    arrays = {"id": np.array(IDS), **vectors()}
    if labels == "dense":
        arrays["labels"] = np.zeros((4, 5), np.uint8)
        for row, of_row in enumerate(LABELS):
            arrays["labels"][row, of_row] = 1
    else:
        arrays["labels"] = np.concatenate(LABELS).astype(int)
        arrays["label_offsets"] = np.cumsum([0, *map(len, LABELS)])
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    options = {} if labels == "dense" else {"num_classes": 5}
    result = import_embeddings([tmp_path / "a.npz"], tmp_path / "val", **options)
    expected = [sorted(row) for row in LABELS] if labels == "dense" else LABELS
    store = FrameStore(tmp_path / "val")
    assert [row.tolist() for row in store.labels.labels] == expected
    assert result.meta.num_classes == 5
    np.testing.assert_array_equal(store.crops([3, 1]).features["clip"], vectors()["clip"][[3, 1]])


def test_arrays_of_an_npz_that_are_no_features_are_left_out(tmp_path):
    more = {
        "version": np.array(3),
        "scale": np.array(0.5),
        "label_names": np.array(["a", "b", "c", "d", "e"]),
        "phase": np.ones(4, complex),
        "title": np.array([["x", "y"]] * 4),
    }
    arrays = {"id": np.array(IDS), "clip": vectors()["clip"].astype(">f8"), **more}
    np.savez(tmp_path / "a.npz", **arrays)
    result = import_embeddings([tmp_path / "a.npz"], tmp_path / "val", num_classes=5)
    assert result.meta.feature_sizes == {"clip": vectors()["clip"].shape[1]}
    crops = FrameStore(tmp_path / "val").crops([3, 1])
    np.testing.assert_array_equal(crops.features["clip"], vectors()["clip"][[3, 1]])


@pytest.mark.parametrize("layout", ["padded", "joined"])
def test_an_npz_of_frames(tmp_path, layout):
    arrays = {
        "id": np.array(IDS),
        "labels": np.concatenate(LABELS).astype(int),
        "label_offsets": np.cumsum([0, *map(len, LABELS)]),
    }
    if layout == "padded":
        arrays["num_frames"] = np.array(LENGTHS)
        for name, size in (("rgb", 3), ("audio", 2)):
            arrays[name] = np.full((4, 9, size), 77, np.uint8)
            for row, video in enumerate(frames()):
                arrays[name][row, : LENGTHS[row]] = video[name]
    else:
        arrays["frame_offsets"] = np.cumsum([0, *LENGTHS])
        for name in ("rgb", "audio"):
            arrays[name] = np.concatenate([video[name] for video in frames()])
    np.savez(tmp_path / "a.npz", **arrays)
    import_embeddings([tmp_path / "a.npz"], tmp_path / "val", num_classes=5, stride=2)
    check_frames(tmp_path / "val", 2)


def test_ids_may_be_numbers_and_labels_absent(tmp_path):
    table = pa.table({"id": [7, 8], "clip": [[1.0, 2.0], [3.0, 4.0]]})
    pq.write_table(table, tmp_path / "a.parquet")
    result = import_embeddings([tmp_path / "a.parquet"], tmp_path / "test", num_classes=5)
    assert FrameStore(tmp_path / "test").ids.tolist() == ["7", "8"]
    assert result.num_unlabelled == 2


@pytest.mark.parametrize(
    "type_",
    [pa.large_string(), pa.string_view(), pa.binary(), pa.dictionary(pa.int8(), pa.string())],
)
def test_ids_may_be_texts_of_any_kind(tmp_path, type_):
    ids = pa.array(["x", "é"]).cast(type_)
    pq.write_table(pa.table({"id": ids, "clip": [[1.0], [2.0]]}), tmp_path / "a.parquet")
    import_embeddings([tmp_path / "a.parquet"], tmp_path / "test", num_classes=3)
    assert FrameStore(tmp_path / "test").ids.tolist() == ["x", "é"]


def test_ids_that_are_no_text_are_named(tmp_path):
    ids = pa.array(["a", "b", "c", "d"])
    flipped = pa.py_buffer(b"a\xffcd")  # as a damaged page holds it
    ids = pa.StringArray.from_buffers(4, ids.buffers()[1], flipped)
    pq.write_table(pa.table({"id": ids, "clip": list(vectors()["clip"])}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"a\.parquet: column 'id': b'\\xff' is not UTF-8"):
        import_embeddings([tmp_path / "a.parquet"], tmp_path / "val", num_classes=5)


def test_the_same_tables_again_do_nothing(tmp_path):
    file = write_parquet(tmp_path / "a.parquet", {"clip": vectors()["clip"].tolist()})
    import_embeddings([file], tmp_path / "val", num_classes=5)
    before = contents(tmp_path / "val")
    assert import_embeddings([file], tmp_path / "val", num_classes=5).was_complete
    assert contents(tmp_path / "val") == before


@pytest.mark.parametrize("num_workers", [1, 3])
def test_row_groups_make_shards_of_a_size(tmp_path, monkeypatch, num_workers):
    monkeypatch.setattr("gapkit.data._importing.plan._SHARD_BYTES", 40)
    columns = {name: values.tolist() for name, values in vectors().items()}
    file = write_parquet(tmp_path / "a.parquet", columns, row_group_size=1)
    result = import_embeddings([file], tmp_path / "val", num_classes=5, workers=num_workers)
    assert len(result.meta.shards) > 1
    check_vectors(tmp_path / "val", vectors())


CLIP = [[0.0, 1.0]] * 4
WRONG_TABLES = {
    "no id": (
        pa.table({"video": IDS, "clip": CLIP}),
        ["has no column 'id', but video, clip", "Name the column"],
    ),
    "no feature": (pa.table({"id": IDS, "title": IDS}), ["features of one level", "needed beside"]),
    "both levels": (
        pa.table({"id": IDS, "clip": CLIP, "rgb": pa.array([[[1]]] * 4, FRAMES)}),
        ["('clip', 'video')", "('rgb', 'frame')", "features of one level"],
    ),
    "frames of floats": (
        pa.table({"id": IDS, "rgb": [[[0.5]]] * 4}),
        ["column 'rgb': frames of double", "uint8 (round((x + 2 - 4/512) * 255/4)"],
    ),
    "strings": (
        pa.table({"id": IDS, "tags": [["x"]] * 4}),
        ["column 'tags'", "no feature", "or leave the column out"],
    ),
    "uneven": (
        pa.table({"id": IDS, "clip": [[0.0, 1.0], [1.0, 2.0], [3.0], [1.0, 2.0]]}),
        ["column 'clip': row 2: 1 values, and the first row has 2", "one size"],
    ),
    "null vector": (
        pa.table({"id": IDS, "clip": [*CLIP[:3], None]}),
        ["column 'clip': row 3: a null", "Leave it out"],
    ),
    "null value": (
        pa.table({"id": IDS, "clip": [*CLIP[:1], [0.0, None], *CLIP[2:]]}),
        ["column 'clip': row 1: a null"],
    ),
    "not finite": (
        pa.table({"id": IDS, "clip": [*CLIP[:2], [0.0, np.inf], *CLIP[3:]]}),
        ["column 'clip': row 2: not finite", "Leave the video out"],
    ),
    "null id": (pa.table({"id": [*IDS[:3], None], "clip": CLIP}), ["column 'id': row 3: a null"]),
    "ids in lists": (
        pa.table({"id": [[0.5]] * 4, "clip": CLIP}),
        ["column 'id': list", "Ids are strings"],
    ),
    "float ids": (
        pa.table({"id": [0.5, 1.5, 2.5, 3.5], "clip": CLIP}),
        ["column 'id': double. Ids are strings, or whole numbers"],
    ),
    "empty id": (
        pa.table({"id": [*IDS[:3], ""], "clip": CLIP}),
        ["row 3: its id is empty"],
    ),
    "id twice": (
        pa.table({"id": ["a", "b", "c", "b"], "clip": CLIP}),
        ["video 'b' is in", "Import each video once"],
    ),
    "labels of strings": (
        pa.table({"id": IDS, "labels": [["x"]] * 4, "clip": CLIP}),
        ["column 'labels': list<", "Give a list of integers a video"],
    ),
    "label too large": (
        pa.table({"id": IDS, "labels": [[0], [5], [1], [2]], "clip": CLIP}),
        ["row 1: video 'b': label 5 is out of range for num_classes=5"],
    ),
    "no frames": (
        pa.table({"id": IDS, "rgb": pa.array([[[1]], [[1]], [], [[1]]], FRAMES)}),
        ["row 2 (id 'c'): frames {'rgb': 0}"],
    ),
    "no rows": (
        pa.table({"id": pa.array([], pa.string()), "clip": pa.array([], pa.list_(pa.float32()))}),
        ["no rows"],
    ),
}


@pytest.mark.parametrize("fault", WRONG_TABLES)
def test_a_wrong_column_is_named_with_its_row(tmp_path, fault):
    table, words = WRONG_TABLES[fault]
    pq.write_table(table, tmp_path / "wrong.parquet")
    with pytest.raises(DataError) as error:
        import_embeddings([tmp_path / "wrong.parquet"], tmp_path / "data" / "val", num_classes=5)
    said = str(error.value)
    assert [word for word in ["wrong.parquet", *words] if word not in said] == [], said
    assert "\n" not in said
    assert not (tmp_path / "data" / "val").exists()


WRONG_ARRAYS = {
    "no id": ({"clip": CLIP}, ["has no array 'id', but clip"]),
    "id of floats": (
        {"id": np.ones(4), "clip": CLIP},
        ["array 'id': float64", "one string a video"],
    ),
    "bytes": (
        {"id": np.array([b"a", b"b", b"\xff", b"d"]), "clip": CLIP},
        ["array 'id': b'\\xff' is not UTF-8"],
    ),
    "rows": ({"id": IDS, "clip": CLIP[:3]}, ["array 'clip': 3 rows, and 'id' has 4"]),
    "objects": (
        {"id": IDS, "clip": np.array(CLIP, object)},
        ["'clip': can't be read", "Save arrays"],
    ),
    "labels": (
        {"id": IDS, "clip": CLIP, "labels": np.full((4, 5), 2)},
        ["'labels': row 0: neither 0 nor"],
    ),
    "label shape": (
        {"id": IDS, "clip": CLIP, "labels": [1, 2]},
        ["'labels': shape (2,) for 4 videos"],
    ),
    "offsets": (
        {"id": IDS, "clip": CLIP, "labels": [1, 2], "label_offsets": [0, 1, 1, 2]},
        ["'label_offsets': not 5 rising integers from 0 to 2"],
    ),
    "num_frames": (
        {"id": IDS, "rgb": np.ones((4, 2, 3), np.uint8), "num_frames": [1, 2, 3, 1]},
        ["'num_frames': row 2: 3, and there are 2 frames"],
    ),
    "four dimensions": (
        {"id": IDS, "rgb": np.ones((4, 2, 3, 1), np.uint8)},
        ["'rgb': uint8 of shape (4, 2, 3, 1)"],
    ),
}


@pytest.mark.parametrize("fault", WRONG_ARRAYS)
def test_a_wrong_array_is_named(tmp_path, fault):
    arrays, words = WRONG_ARRAYS[fault]
    np.savez(tmp_path / "wrong.npz", **arrays)
    with pytest.raises(DataError) as error:
        import_embeddings([tmp_path / "wrong.npz"], tmp_path / "val", num_classes=5)
    said = str(error.value)
    assert [word for word in ["wrong.npz", *words] if word not in said] == [], said
    assert not (tmp_path / "val").exists()


def test_files_of_other_kinds_are_told_apart(tmp_path):
    first = write_parquet(tmp_path / "a.parquet", {"clip": CLIP})
    for name, table, words in (
        (
            "b",
            pa.table({"id": ["x"], "text": [[1.0, 2.0]]}),
            "b: has no column 'clip', which the first file has",
        ),
        (
            "c",
            pa.table({"id": ["x"], "clip": [[1.0]]}),
            "c: column 'clip': row 0: 1 values, and the",
        ),
        ("d", pa.table({"id": ["x"], "clip": [1.0]}), "d: column 'clip': double, and in the first"),
    ):
        pq.write_table(table, tmp_path / name)
        with pytest.raises(DataError, match=words):
            import_embeddings([first, tmp_path / name], tmp_path / "val", num_classes=5)
    (tmp_path / "e").write_bytes(b"nonsense")
    with pytest.raises(DataError, match=r"e: neither Parquet nor \.npz"):
        import_embeddings([tmp_path / "e"], tmp_path / "val", num_classes=5)
    whole = first.read_bytes()
    first.write_bytes(whole[:8] + b"\xff" * 60 + whole[68:])
    with pytest.raises(DataError, match=r"a\.parquet: .*damaged"):
        import_embeddings([first], tmp_path / "val", num_classes=5)
