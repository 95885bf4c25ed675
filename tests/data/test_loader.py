import numpy as np
import oracles
import pytest
import records

from gapkit.data import FrameStore, Loader, import_tfrecords
from gapkit.errors import UsageError

NUM_VIDEOS = 23


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Videos whose frames tell their number: frame t holds t."""
    folder = tmp_path_factory.mktemp("loader")
    videos = {
        f"v{n}": ([n % 3], {"rgb": np.arange(60 + n, dtype=np.uint8)[:, None]})
        for n in range(NUM_VIDEOS)
    }
    file = records.write_frames(folder / "a.tfrecord", videos)
    import_tfrecords([file], folder / "train", num_classes=3, stride=5)
    return FrameStore(folder / "train")


def flatten(loader, number):
    """An epoch as a list of (id, frames, truth)."""
    return [
        (id_, batch.features["rgb"][b, : batch.num_frames[b], 0].tolist(), true_BC[b].tolist())
        for batch, true_BC in loader.epoch(number)
        for b, id_ in enumerate(batch.ids)
    ]


def test_each_video_comes_once_an_epoch_with_its_truth(store):
    loader = Loader(store, batch_size=5)
    sizes = [len(batch) for batch, _ in loader.epoch(0)]
    assert sizes == [5, 5, 5, 5, 3]
    assert len(loader) == 5
    epoch = flatten(loader, 0)
    assert sorted(id_ for id_, _, _ in epoch) == sorted(store.ids)
    for id_, _, truth in epoch:
        assert np.flatnonzero(truth).tolist() == [int(id_[1:]) % 3]


@pytest.mark.parametrize(("stride", "max_frames"), [(None, None), (None, 4), (2, 3), (1, None)])
def test_crops_start_within_two_strides(store, stride, max_frames):
    loader = Loader(store, batch_size=4, stride=stride, max_frames=max_frames)
    step = stride or 5
    starts = set()
    for number in range(8):
        for id_, frames, _ in flatten(loader, number):
            num_frames = 60 + int(id_[1:])
            assert frames == oracles.crop(list(range(num_frames)), frames[0], step, max_frames)
            starts.add(frames[0])
    assert starts == set(range(2 * step))


def test_epochs_depend_on_seed_and_number_alone(store):
    first, again = (Loader(store, batch_size=5, seed=7) for _ in range(2))
    epochs = [flatten(first, number) for number in range(3)]
    assert [flatten(again, number) for number in (2, 0, 1)] == [epochs[2], epochs[0], epochs[1]]
    assert epochs[0] != epochs[1]
    assert flatten(Loader(store, batch_size=5, seed=8), 0) != epochs[0]
    other_size = Loader(store, batch_size=NUM_VIDEOS, seed=7)
    assert flatten(other_size, 0) == epochs[0]


def test_orders_of_epochs_differ(store):
    loader = Loader(store, batch_size=50)
    orders = {tuple(id_ for id_, _, _ in flatten(loader, number)) for number in range(5)}
    assert len(orders) == 5


def test_a_batch_of_no_videos_is_a_usage_error(store):
    with pytest.raises(UsageError, match="batch_size is 0"):
        Loader(store, batch_size=0)
