import json

import numpy as np
import oracles
import pytest
import records

from gapkit.data import FrameStore, Loader, import_tfrecords
from gapkit.data._loader import start_at_zero
from gapkit.data._order import draw_runs
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


@pytest.mark.parametrize(
    ("starts", "expected"), [("paper", range(10)), ("code", range(5)), ("zero", [0])]
)
def test_starts_are_drawn_as_their_name_says(store, starts, expected):
    loader = Loader(store, batch_size=23, starts=starts)
    found = {frames[0] for number in range(12) for _, frames, _ in flatten(loader, number)}
    assert found == set(expected)


def test_starts_may_be_a_function(store):
    loader = Loader(store, batch_size=4, starts=lambda rng, num_frames, stride: num_frames - stride)
    for id_, frames, _ in flatten(loader, 0):
        assert frames == [60 + int(id_[1:]) - 5]
    with pytest.raises(UsageError, match=r"float64 of shape \(2,\).*\(23,\)"):
        flatten(Loader(store, batch_size=4, starts=lambda rng, n, stride: np.zeros(2)), 0)


def test_full_length_is_stride_one_from_zero(store):
    for id_, frames, _ in flatten(Loader(store, batch_size=4, stride=1, starts="zero"), 0):
        assert frames == list(range(60 + int(id_[1:])))


@pytest.mark.parametrize("num_threads", [0, 1, 3])
@pytest.mark.parametrize("num_ahead", [1, 4, 100])
def test_threads_change_nothing(store, num_threads, num_ahead):
    loader = Loader(store, batch_size=4, num_threads=num_threads, num_ahead=num_ahead)
    assert flatten(loader, 2) == flatten(Loader(store, batch_size=4, num_threads=0), 2)


@pytest.mark.parametrize("num_taken", range(6))
def test_a_position_goes_on_where_it_was(store, num_taken):
    whole = [batch.ids.tolist() for batch, _ in Loader(store, batch_size=4).epoch(3)]
    loader = Loader(store, batch_size=4)
    examples = loader.epoch(3)
    taken = [next(examples)[0].ids.tolist() for _ in range(num_taken)]
    position = json.loads(json.dumps(loader.position))
    examples.close()
    if num_taken == 0:
        position |= {"epoch": 3}
    left = [batch.ids.tolist() for batch, _ in Loader(store, batch_size=4).resume(position)]
    assert num_taken == 6 or taken + left == whole
    if num_taken == 6:
        assert position["epoch"] == 4


def test_a_position_of_another_loader_is_refused(store):
    position = Loader(store, batch_size=4).position
    for other in (
        {"batch_size": 5},
        {"seed": 1},
        {"starts": "code"},
        {"starts": start_at_zero},
        {"stride": 3},
        {"max_frames": 2},
    ):
        with pytest.raises(UsageError, match="does not fit"):
            Loader(store, **{"batch_size": 4, **other}).resume(position)
    Loader(store, batch_size=2, num_ranks=2).resume(position)


@pytest.mark.parametrize(("num_ranks", "batch_size"), [(2, 3), (3, 2), (4, 5), (23, 1), (5, 8)])
def test_ranks_share_the_batches_of_one(store, num_ranks, batch_size):
    ranks = [
        list(Loader(store, batch_size=batch_size, rank=r, num_ranks=num_ranks).epoch(1))
        for r in range(num_ranks)
    ]
    whole = list(Loader(store, batch_size=batch_size * num_ranks).epoch(1))
    assert {len(rank) for rank in ranks} == {len(whole)}
    for step, (batch, _) in enumerate(whole):
        parts = [rank[step][0] for rank in ranks]
        assert sorted(id_ for part in parts for id_ in part.ids) == sorted(batch.ids)
        rows = {id_: row for row, id_ in enumerate(batch.ids)}
        for part in parts:
            for row, id_ in enumerate(part.ids):
                length = part.num_frames[row]
                assert length == batch.num_frames[rows[id_]]
                np.testing.assert_array_equal(
                    part.features["rgb"][row, :length], batch.features["rgb"][rows[id_], :length]
                )


def test_an_error_in_a_thread_comes_to_the_one_who_asks(store):
    def starts(rng, num_frames, stride):
        return np.full(len(num_frames), -1)

    with pytest.raises(UsageError, match="start is -1"):
        flatten(Loader(store, batch_size=4, starts=starts), 0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rank": 2, "num_ranks": 2}, "rank is 2. Of 2 ranks it is 0 to 1"),
        ({"num_ranks": 0}, "num_ranks is 0"),
        ({"num_threads": -1}, "num_threads is -1"),
        ({"num_ahead": 0}, "num_ahead is 0"),
        ({"run_length": 0}, "run_length is 0"),
        ({"run_length": 2, "num_runs": 0}, "num_runs is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"starts": "middle"}, "starts is 'middle'. Use paper, code, zero"),
    ],
)
def test_bad_options_are_named(store, options, words):
    with pytest.raises(UsageError, match=words):
        Loader(store, batch_size=4, **options)


@pytest.mark.parametrize(("number", "first_batch"), [(-1, 0), (0, -1)])
def test_epochs_and_batches_count_from_0(store, number, first_batch):
    with pytest.raises(UsageError, match="is -1"):
        Loader(store, batch_size=4).epoch(number, first_batch=first_batch)


RUNS = [(1, 1), (4, 2), (5, 3), (7, 1), (3, 100), (23, 1), (100, 2)]


@pytest.mark.parametrize(("run_length", "num_runs"), RUNS)
@pytest.mark.parametrize("num_threads", [0, 2])
def test_runs_hold_each_video_once_an_epoch(store, run_length, num_runs, num_threads):
    loader = Loader(
        store, batch_size=4, run_length=run_length, num_runs=num_runs, num_threads=num_threads
    )
    plain = {id_: truth for id_, _, truth in flatten(Loader(store, batch_size=4), 0)}
    for number in range(3):
        epoch = flatten(loader, number)
        assert {id_: truth for id_, _, truth in epoch} == plain
        assert len(epoch) == NUM_VIDEOS
        for id_, frames, _ in epoch:
            assert frames == oracles.crop(list(range(60 + int(id_[1:]))), frames[0], 5, None)


@pytest.mark.parametrize(("run_length", "num_runs"), RUNS)
def test_a_window_holds_its_runs_whole_and_shuffled(run_length, num_runs):
    rng, window = np.random.default_rng(0), run_length * num_runs
    for num_videos in (23, 100):
        order_N, read_N = draw_runs(rng, num_videos, run_length, window)
        assert sorted(order_N) == sorted(read_N) == list(range(num_videos))
        as_read = order_N[read_N]
        for begin in range(0, num_videos, window):
            here = slice(begin, begin + window)
            assert sorted(order_N[here]) == sorted(as_read[here])
        num_jumps = (np.diff(as_read) != 1).sum()
        assert num_jumps <= -(-num_videos // run_length) - 1


def test_runs_and_windows_are_in_any_order():
    rng = np.random.default_rng(0)
    orders = np.array([draw_runs(rng, 12, 2, 4)[0] for _ in range(4000)])
    # Each video is as often in each place as in any other: 1 of 12, give or take 4 deviations.
    for place_N in orders.T:
        counts = np.bincount(place_N, minlength=12) / len(orders)
        assert abs(counts - 1 / 12).max() < 4 * np.sqrt(1 / 12 * 11 / 12 / len(orders))


def test_orders_of_runs_depend_on_seed_and_number_alone(store):
    runs = {"run_length": 4, "num_runs": 2}
    first, again = (Loader(store, batch_size=5, seed=7, **runs) for _ in range(2))
    epochs = [flatten(first, number) for number in range(3)]
    assert [flatten(again, number) for number in (2, 0, 1)] == [epochs[2], epochs[0], epochs[1]]
    assert len({tuple(id_ for id_, _, _ in epoch) for epoch in epochs}) == 3
    assert flatten(Loader(store, batch_size=23, seed=7, **runs), 0) == epochs[0]


@pytest.mark.parametrize("num_taken", range(6))
def test_runs_go_on_where_they_were(store, num_taken):
    runs = {"run_length": 3, "num_runs": 2}
    whole = flatten(Loader(store, batch_size=4, **runs), 3)
    loader = Loader(store, batch_size=4, **runs)
    examples = loader.epoch(3)
    for _ in range(num_taken):
        next(examples)
    position = json.loads(json.dumps(loader.position)) | {"epoch": 3, "batch": num_taken}
    examples.close()
    left = Loader(store, batch_size=4, **runs).resume(position)
    ids = [id_ for batch, _ in left for id_ in batch.ids]
    assert ids == [id_ for id_, _, _ in whole[4 * num_taken :]]
    for other in ({}, {"run_length": 4, "num_runs": 2}, {"run_length": 3}):
        with pytest.raises(UsageError, match=r"does not fit a loader with (run_length|num_runs)="):
            Loader(store, batch_size=4, **other).resume(position)


@pytest.mark.parametrize(("num_ranks", "batch_size"), [(2, 3), (3, 2), (4, 5), (23, 1)])
def test_ranks_share_the_runs_of_one(store, num_ranks, batch_size):
    runs = {"run_length": 4, "num_runs": 2}
    ranks = [
        list(Loader(store, batch_size=batch_size, rank=r, num_ranks=num_ranks, **runs).epoch(1))
        for r in range(num_ranks)
    ]
    whole = list(Loader(store, batch_size=batch_size * num_ranks, **runs).epoch(1))
    assert {len(rank) for rank in ranks} == {len(whole)}
    for step, (batch, _) in enumerate(whole):
        parts = [id_ for rank in ranks for id_ in rank[step][0].ids]
        assert sorted(parts) == sorted(batch.ids)


@pytest.mark.parametrize("num_ranks", [1, 3])
def test_what_a_rank_cuts_was_read_ahead_once(store, num_ranks, monkeypatch):
    runs = {"run_length": 3, "num_runs": 2, "batch_size": 2, "num_threads": 0}
    real, read = store.crops, []
    monkeypatch.setattr(
        store,
        "read_ahead",
        lambda index_B, start_B, **_: read.extend(zip(index_B, start_B, strict=True)),
    )

    def crops(index_B, start_B, **options):
        assert set(zip(index_B, start_B, strict=True)) <= set(read)
        return real(index_B, start_B, **options)

    monkeypatch.setattr(store, "crops", crops)
    for rank in range(num_ranks):
        read.clear()
        loader = Loader(store, rank=rank, num_ranks=num_ranks, **runs)
        ids = [id_ for batch, _ in loader.epoch(0) for id_ in batch.ids]
        assert len(read) == len(set(read)) == len(ids)
    for first_batch in range(4):
        read.clear()
        list(Loader(store, **runs).epoch(1, first_batch=first_batch))
        assert len(read) == len(set(read))
    read.clear()
    monkeypatch.setattr(store, "crops", real)
    flatten(Loader(store, stride=2, **runs), 0)
    assert read == []


def test_batches_that_are_kept_stay_as_they_were(tmp_path):
    """Memory is used again, never under the eyes of one who holds a batch."""
    rng = np.random.default_rng(0)
    videos = {
        f"v{n}": ([0], {"rgb": rng.integers(0, 256, (60, 1024), np.uint8)}) for n in range(200)
    }
    file = records.write_frames(tmp_path / "a.tfrecord", videos)
    import_tfrecords([file], tmp_path / "train", num_classes=1, stride=5)
    loader = Loader(FrameStore(tmp_path / "train"), batch_size=40, starts="zero", num_threads=2)
    kept = []
    for number in range(6):
        for batch, _ in loader.epoch(number):
            if number % 2:
                kept.append((batch.ids, batch.features["rgb"][1::2]))
    assert kept[0][1].base.nbytes >= 1 << 18
    for ids, crops_BTD in kept:
        for id_, crop_TD in zip(ids[1::2], crops_BTD, strict=True):
            np.testing.assert_array_equal(crop_TD, videos[id_][1]["rgb"][::5])
