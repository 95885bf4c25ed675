from pathlib import Path

import numpy as np
import oracles
import pytest

from gapkit.data import FrameStore, import_tfrecords
from gapkit.data._tfrecord import messages, read_records
from gapkit.data._vocabulary import read_vocabulary

REAL = Path(__file__).parents[2] / ".." / "shared" / "data"

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="no real data in ../shared/data")

# folder, shards, videos, true labels (None: not published), unlabelled, num_classes, level
SPLITS = [
    ("yt8m2017_video", "validate*", 3419, None, 0, 4716, "video"),
    ("yt8m2017_video", "test*", 512, 0, 512, 4716, "video"),
    ("yt8m2018_video", "train*", 8908, None, 0, 3862, "video"),
    ("yt8m2018_video", "validate*", 5758, None, 0, 3862, "video"),
    ("audioset", "bal_train*", 22_160, None, 0, 527, "frame"),
    ("audioset", "eval*", 20_371, 51_804, 0, 527, "frame"),
]


@pytest.mark.parametrize(
    ("folder", "shards", "num_videos", "num_positives", "unlabelled", "num_classes", "level"),
    SPLITS,
)
def test_published_counts_come_out(
    tmp_path, folder, shards, num_videos, num_positives, unlabelled, num_classes, level
):
    files = sorted((REAL / folder).glob(f"{shards}.tfrecord"))
    result = import_tfrecords(files, tmp_path / "split")
    store = FrameStore(tmp_path / "split")
    assert len(store) == result.meta.num_videos == num_videos
    assert (store.num_classes, store.level, result.num_unlabelled) == (
        num_classes,
        level,
        unlabelled,
    )
    if num_positives is not None:
        assert store.labels.num_positives == num_positives
    check_against_the_records(store, files)


def check_against_the_records(store, files):
    """A few videos of each shard equal what its records hold."""
    first = 0
    for file in files:
        all_data = list(read_records(file))
        for record in (0, len(all_data) // 2, len(all_data) - 1):
            message = messages().SequenceExample.FromString(all_data[record])
            context = message.context.feature
            batch = store.crops(first + record, 3, stride=2)
            key = "video_id" if "video_id" in context else "id"
            assert batch.ids[0] == context[key].bytes_list.value[0].decode()
            labels = store.labels.labels[first + record].tolist()
            assert labels == list(context["labels"].int64_list.value)
            for name, values in batch.features.items():
                if store.level == "video":
                    expected = np.float32(context[name].float_list.value)
                else:
                    frame_list = message.feature_lists.feature_list[f"{name}_embedding"]
                    frames = [feature.bytes_list.value[0] for feature in frame_list.feature]
                    crop = oracles.crop(frames, 3, 2, None)
                    expected = np.stack([np.frombuffer(frame, np.uint8) for frame in crop])
                assert np.array_equal(values[0], expected)
        first += len(all_data)


@pytest.mark.parametrize(
    ("name", "num_classes", "first"),
    [
        ("vocabulary/labels_2017_4716.csv", 4716, None),
        ("vocabulary/labels_2018_3862.csv", 3862, None),
        ("audioset/class_labels_indices.csv", 527, "Speech"),
    ],
)
def test_published_vocabularies_are_read(name, num_classes, first):
    vocabulary = read_vocabulary(REAL / name)
    assert vocabulary.num_classes == len(vocabulary.names) == num_classes
    assert first in (None, vocabulary.names[0])
