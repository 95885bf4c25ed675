"""A split of videos of every length, from 1 frame on."""

import numpy as np
import pytest
import records
from linear import NUM_CLASSES, NUM_VIDEOS, STRIDE

from gapkit.data import FrameStore, import_tfrecords


@pytest.fixture(scope="module")
def frames():
    rng = np.random.default_rng(0)
    return {f"v{n}": rng.integers(0, 256, (1 + 2 * n, 4), np.uint8) for n in range(NUM_VIDEOS)}


@pytest.fixture(scope="module")
def store(frames, tmp_path_factory):
    folder = tmp_path_factory.mktemp("predicting")
    videos = {id_: ([n % NUM_CLASSES], {"rgb": f}) for n, (id_, f) in enumerate(frames.items())}
    file = records.write_frames(folder / "a.tfrecord", videos)
    import_tfrecords([file], folder / "val", num_classes=NUM_CLASSES, stride=STRIDE)
    return FrameStore(folder / "val")
