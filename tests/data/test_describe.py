import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import records

from gapkit.data import attach_vocabulary, describe, hold_out, import_tfrecords
from gapkit.errors import DataError

NAMES = "index,name,vertical1,vertical2,vertical3\n0,a,X,,\n1,b,X,Y,\n2,,,,\n3,d,Y,,\n"


def import_videos(tmp_path, split, videos, num_classes=4, **options):
    """A split of videos {id: (labels, number of frames)}."""
    rng = np.random.default_rng(0)
    file = records.write_frames(
        tmp_path / f"{split}.tfrecord",
        {
            id_: (labels, records.draw_frames(rng, T, {"rgb": 2}))
            for id_, (labels, T) in videos.items()
        },
    )
    import_tfrecords([file], tmp_path / "data" / split, num_classes=num_classes, **options)
    return tmp_path / "data" / split


def change_column(split, name, values):
    path = split / "labels.parquet"
    table = pq.read_table(path)
    place = table.column_names.index(name)
    field = table.schema.field(name)
    pq.write_table(table.set_column(place, field, pa.array(values, field.type)), path)


def warnings(tmp_path, split):
    return next(s.warnings for s in describe(tmp_path / "data") if s.name == split)


def test_figures_are_those_of_the_videos(tmp_path):
    videos = {"p": ([0, 1], 3), "q": ([1], 9), "r": ([], 4), "s": ([3, 0, 1], 4)}
    split = import_videos(tmp_path, "train", videos, stride=3)
    (figures,) = describe(split)
    assert (figures.name, figures.num_videos, figures.num_frames) == ("train", 4, 20)
    assert (figures.labels_per_video, figures.labels_span) == (1.5, (0, 1.5, 3))
    assert (figures.frames_span, figures.stride, figures.num_shards) == ((3, 4.0, 9), 3, 1)
    assert figures.most_frequent == [("1", 3), ("0", 2), ("3", 1), ("2", 0)]
    assert figures.rarest == [("3", 1), ("0", 2), ("1", 3)]
    assert (figures.num_unseen, figures.num_unlabelled, figures.has_names) == (1, 1, False)
    assert figures.size_bytes == sum(path.stat().st_size for path in split.iterdir())
    assert figures.warnings == ["1 video without labels: nothing to score there."]


def test_sound_splits_have_no_warnings(tmp_path):
    import_videos(tmp_path, "train", {"p": ([0, 1], 30), "q": ([2], 40)}, stride=5)
    import_videos(tmp_path, "val", {"r": ([0], 30)}, stride=5)
    assert [split.warnings for split in describe(tmp_path / "data")] == [[], []]


@pytest.mark.parametrize(
    ("videos", "stride", "warning"),
    [
        ({"p": (range(21), 60)}, 5, "1 video with more than 20 labels: GAP at top 20"),
        ({"p": ([0], 60), "q": ([0], 70)}, 1, "laid out for stride 1, .* have 65 frames"),
        ({"p": ([0], 4), "q": ([0], 3)}, 5, r"laid out for stride 5, .* have 4 frames"),
    ],
)
def test_what_hurts_in_one_split_is_told(tmp_path, videos, stride, warning):
    import_videos(tmp_path, "train", videos, num_classes=30, stride=stride)
    (found,) = warnings(tmp_path, "train")
    assert re.match(warning, found), found


def test_labels_beyond_and_empty_videos_are_told_and_not_refused(tmp_path):
    split = import_videos(tmp_path, "train", {"p": ([0], 3), "q": ([1, 2], 3)}, stride=1)
    change_column(split, "labels", [[0], [1, 4]])
    change_column(split, "num_frames", [3, 0])
    broken, beyond, empty = warnings(tmp_path, "train")
    assert broken.startswith("can't be opened: ")
    assert "row 1: num_frames is 0" in broken
    assert beyond == "1 true label out of range for num_classes=4, as 4 of video 'q'."
    assert empty == "1 video without frames, as 'q'."


def test_what_hurts_between_splits_is_told_of_the_later_one(tmp_path):
    import_videos(tmp_path, "train", {"p": ([0], 3), "q": ([1], 3)}, stride=1)
    import_videos(tmp_path, "val", {"q": ([0, 3], 3), "r": ([2], 3)}, num_classes=5, stride=1)
    assert warnings(tmp_path, "train") == []
    assert warnings(tmp_path, "val") == [
        "1 id in train as well, as 'q': scores will flatter.",
        "num_classes is 5, and 4 in train.",
        "2 labels that no video of train has, as 2.",
    ]


def test_a_holdout_says_where_it_comes_from_and_shares_no_id(tmp_path):
    import_videos(tmp_path, "train", {f"v{n}": ([n % 2], 3) for n in range(30)}, stride=1)
    hold_out(tmp_path / "data", num_videos=10)
    train, val = describe(tmp_path / "data")
    assert (train.held_out_of, val.held_out_of) == (None, "train")
    assert (train.num_videos, val.num_videos) == (20, 10)
    assert train.warnings == val.warnings == []


# Names


def test_names_and_verticals_attach_to_every_split_and_stay(tmp_path):
    for split, id_ in (("train", "p"), ("val", "q")):
        import_videos(tmp_path, split, {id_: ([0, 1, 2], 3), f"{id_}2": ([1], 3)}, stride=1)
    before = pq.read_table(tmp_path / "data" / "val" / "labels.parquet")
    (tmp_path / "names.csv").write_text(NAMES)
    found, folders = attach_vocabulary(tmp_path / "data", tmp_path / "names.csv")
    assert found.verticals == [["X"], ["X", "Y"], [], ["Y"]]
    assert [folder.name for folder in folders] == ["train", "val"]
    assert pq.read_table(tmp_path / "data" / "val" / "labels.parquet").equals(before)
    hold_out(tmp_path / "data", target="dev", num_videos=1)
    for split in describe(tmp_path / "data"):
        assert split.has_names
        assert {name for name, _ in split.most_frequent} == {"a", "b", "label 2", "d"}
    (val,) = describe(tmp_path / "data" / "val")
    assert val.most_frequent == [("b", 2), ("a", 1), ("label 2", 1), ("d", 0)]
    assert val.verticals == [("X", 3), ("Y", 2)]


def test_import_attaches_verticals_as_well(tmp_path):
    rng = np.random.default_rng(0)
    video = {"p": ([1], records.draw_frames(rng, 3, {"rgb": 2}))}
    file = records.write_frames(tmp_path / "a.tfrecord", video)
    (tmp_path / "vocabulary.csv").write_text(NAMES)
    import_tfrecords([file], tmp_path / "data" / "train")
    (train,) = describe(tmp_path / "data")
    assert train.verticals[0] == ("X", 1)
    metadata = pq.read_schema(tmp_path / "data" / "train" / "labels.parquet").metadata
    assert json.loads(metadata[b"gapkit"])["verticals"][1] == ["X", "Y"]


def test_a_vocabulary_of_another_release_is_refused_and_changes_nothing(tmp_path):
    import_videos(tmp_path, "a", {"p": ([0], 3)}, stride=1)
    split = import_videos(tmp_path, "b", {"p": ([0], 3)}, num_classes=5, stride=1)
    (tmp_path / "names.csv").write_text(NAMES)
    with pytest.raises(DataError, match=rf"names\.csv has 4 labels, and {split} 5"):
        attach_vocabulary(tmp_path / "data", tmp_path / "names.csv")
    assert not any(figures.has_names for figures in describe(tmp_path / "data"))


def test_different_names_of_two_splits_are_told(tmp_path):
    import_videos(tmp_path, "train", {"p": ([0], 3)}, stride=1)
    split = import_videos(tmp_path, "val", {"q": ([0], 3)}, stride=1)
    (tmp_path / "names.csv").write_text(NAMES)
    attach_vocabulary(split, tmp_path / "names.csv")
    (warning,) = warnings(tmp_path, "val")
    assert warning.startswith("label names are not those of train.")
