import csv
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from gapkit.data import _synth, _synth_world
from gapkit.data._synth import encode, synthesize
from gapkit.data._synth_frames import draw_segments, quantise
from gapkit.data._synth_world import VERTICALS, SynthWorld
from gapkit.data._tfrecord import messages, read_records
from gapkit.errors import DataError, UsageError

SMALL = {"num_videos": 23, "num_classes": 20, "rgb_size": 12, "audio_size": 5, "max_frames": 9}


def make_world(**changes):
    sizes = {"num_classes": 40, "rgb_size": 16, "audio_size": 8, "max_frames": 20, "seed": 3}
    return SynthWorld(**(sizes | changes))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def parse(data):
    example = messages().SequenceExample.FromString(data)
    frames = {
        name: np.array(
            [np.frombuffer(frame.bytes_list.value[0], np.uint8) for frame in frame_list.feature]
        )
        for name, frame_list in example.feature_lists.feature_list.items()
    }
    context = example.context.feature
    return context["id"].bytes_list.value[0], list(context["labels"].int64_list.value), frames


def order_pair(world):
    first = world.kinds.index("order")
    return first, first + 1


def mean_frames(world, label, num_videos, weigh):
    """The mean over videos of a weighted sum of frames that show one label only."""
    rng = np.random.default_rng(label)
    total = 0.0
    for _ in range(num_videos):
        x_TD = world.draw_frames(rng, np.array([label]), 20)
        total = total + (weigh(20)[:, None] * x_TD).mean(axis=0)
    return total / num_videos


# The files


def test_the_schema_is_that_of_youtube_8m_frames(tmp_path):
    corpus = synthesize(tmp_path / "raw", **SMALL)
    ids = []
    for split, num_videos in (("train", corpus.num_train), ("val", corpus.num_val)):
        records = list(read_records(corpus.folder / f"{split}-00000.tfrecord"))
        assert len(records) == num_videos
        for data in records:
            id_, labels, frames = parse(data)
            ids.append(id_)
            assert labels == sorted(set(labels))
            assert len(labels) >= 1
            assert all(0 <= label < 20 for label in labels)
            assert frames["rgb"].shape[1] == 12
            assert frames["audio"].shape[1] == 5
            assert 4 <= len(frames["rgb"]) == len(frames["audio"]) <= 9
    assert len(set(ids)) == 23


def test_val_holds_a_fifth_rounded_down_but_at_least_one(tmp_path):
    sizes = {"num_classes": 2, "rgb_size": 1, "audio_size": 1, "max_frames": 1}
    for num_videos, num_val in ((2, 1), (9, 1), (10, 2), (14, 2)):
        corpus = synthesize(tmp_path / str(num_videos), num_videos=num_videos, **sizes)
        assert (corpus.num_train, corpus.num_val) == (num_videos - num_val, num_val)


def test_large_splits_are_cut_into_shards_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(_synth, "VIDEOS_PER_SHARD", 7)
    folder = synthesize(tmp_path / "raw", **SMALL).folder
    shards = sorted(path.name for path in folder.glob("train-*"))
    assert shards == [f"train-0000{shard}.tfrecord" for shard in range(3)]
    ids = [parse(data)[0] for shard in shards for data in read_records(folder / shard)]
    assert ids == [f"train-{index:06d}".encode() for index in range(19)]


def test_the_vocabulary_names_every_label_and_its_vertical(tmp_path):
    corpus = synthesize(tmp_path / "raw", **SMALL)
    with (corpus.folder / "vocabulary.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["index"]) for row in rows] == list(range(20))
    assert [row["name"] for row in rows] == list(corpus.world.names)
    for row in rows:
        assert row["vertical"] in VERTICALS
        assert row["name"].rpartition(" ")[0] == row["vertical"]
    assert len({row["name"] for row in rows}) == 20


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    first = contents(synthesize(tmp_path / "a", seed=5, **SMALL).folder)
    again = contents(synthesize(tmp_path / "b", seed=5, **SMALL).folder)
    other = contents(synthesize(tmp_path / "c", seed=6, **SMALL).folder)
    assert first == again
    assert first.keys() == other.keys()
    assert all(first[name] != other[name] for name in first)


def test_a_video_made_alone_equals_the_one_in_its_shard(tmp_path):
    folder = synthesize(tmp_path / "raw", seed=5, **SMALL).folder
    sizes = {name: value for name, value in SMALL.items() if name != "num_videos"}
    world = SynthWorld(seed=5, **sizes)
    assert list(read_records(folder / "train-00000.tfrecord"))[11] == encode(
        world.video("train", 11)
    )
    assert list(read_records(folder / "val-00000.tfrecord"))[2] == encode(world.video("val", 2))


def test_more_videos_leave_the_first_ones_as_they_were(tmp_path):
    few = synthesize(tmp_path / "few", **SMALL).folder / "train-00000.tfrecord"
    many = synthesize(tmp_path / "many", **(SMALL | {"num_videos": 50})).folder / few.name
    assert many.read_bytes().startswith(few.read_bytes())


def test_progress_counts_every_video(tmp_path):
    seen = []
    synthesize(tmp_path / "raw", progress=lambda *step: seen.append(step), **SMALL)
    assert seen == [(made, 23) for made in range(1, 24)]


# The folder


def test_missing_parents_are_made_and_nothing_else_is_left(tmp_path):
    synthesize(tmp_path / "a" / "b" / "raw", **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]
    assert len(list((tmp_path / "a" / "b" / "raw").iterdir())) == 4


def test_an_empty_folder_is_filled_and_the_current_one_refused(tmp_path, monkeypatch):
    (tmp_path / "raw").mkdir()
    synthesize(tmp_path / "raw", **SMALL)
    assert len(contents(tmp_path / "raw")) == 4
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="current folder"):
        synthesize(".", **SMALL)


def test_a_corpus_is_replaced_only_when_told_and_then_whole(tmp_path, monkeypatch):
    folder = tmp_path / "raw"
    monkeypatch.setattr(_synth, "VIDEOS_PER_SHARD", 7)
    synthesize(folder, seed=1, **SMALL)
    before = contents(folder)
    with pytest.raises(DataError, match=r"raw: is there already.*--overwrite"):
        synthesize(folder, seed=2, **SMALL)
    assert contents(folder) == before
    small = SMALL | {"num_videos": 5}
    synthesize(folder, seed=2, overwrite=True, **small)
    assert contents(folder) == contents(synthesize(tmp_path / "fresh", seed=2, **small).folder)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_with_anything_else_is_refused(tmp_path, overwrite):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(DataError, match=r"holds 'thesis\.tex', which gapkit did not write"):
        synthesize(tmp_path, overwrite=overwrite, **SMALL)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_file_in_place_of_the_folder_or_its_parent_is_refused(tmp_path):
    (tmp_path / "raw").touch()
    for folder in (tmp_path / "raw", tmp_path / "raw" / "deeper"):
        with pytest.raises(DataError, match=r"raw is a file|raw/deeper: can't be written"):
            synthesize(folder, **SMALL)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("exists", [False, True])
def test_a_call_that_ends_early_leaves_everything_as_it_was(tmp_path, stop, exists):
    folder = tmp_path / "raw"
    if exists:
        synthesize(folder, seed=1, **SMALL)
    before = contents(folder) if exists else None

    def interrupt(num_made, num_videos):
        if num_made == 20:
            raise stop

    with pytest.raises(stop):
        synthesize(folder, seed=2, overwrite=True, progress=interrupt, **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == (["raw"] if exists else [])
    assert (contents(folder) if exists else None) == before


@pytest.mark.parametrize("num_moves", range(2))
def test_an_interrupt_among_the_renames_undoes_them(tmp_path, monkeypatch, num_moves):
    folder = tmp_path / "raw"
    synthesize(folder, seed=1, **SMALL)
    before = contents(folder)
    rename, count = Path.rename, iter(range(100))

    def interrupted(source, goal):
        if next(count) == num_moves:
            raise KeyboardInterrupt
        return rename(source, goal)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        synthesize(folder, seed=2, overwrite=True, **SMALL)
    assert contents(folder) == before


def test_a_full_disk_is_a_data_error_that_names_the_folder(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_synth, "write_records", full)
    with pytest.raises(DataError, match="raw: can't be written: No space left on device"):
        synthesize(tmp_path / "raw", **SMALL)
    assert list(tmp_path.iterdir()) == []


# The arguments


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_videos": 1}, r"--num-videos 1 is too small. It must be 2 or more"),
        ({"num_classes": 1}, r"--num-classes 1 is too small. It must be 2 or more"),
        ({"rgb_size": 0}, r"--rgb-size 0 is too small. It must be 1 or more"),
        ({"audio_size": -4}, r"--audio-size -4 is too small. It must be 1 or more"),
        ({"max_frames": 0}, r"--max-frames 0 is too small. It must be 1 or more"),
        ({"seed": -1}, r"--seed -1 is out of range. It goes from 0 to 4294967295"),
        ({"seed": 2**32}, r"--seed 4294967296 is out of range"),
    ],
)
def test_a_number_out_of_range_names_its_option(tmp_path, change, message):
    with pytest.raises(UsageError, match=message):
        synthesize(tmp_path / "raw", **(SMALL | change))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("num_classes", [*range(2, 24), 217])
@pytest.mark.parametrize("max_frames", [1, 2, 3])
def test_the_smallest_worlds_make_videos(num_classes, max_frames):
    world = SynthWorld(num_classes=num_classes, rgb_size=1, audio_size=1, max_frames=max_frames)
    assert len(world.kinds) == len(world.verticals) == len(world.names) == num_classes
    for index in range(5):
        video = world.video("train", index)
        assert 1 <= len(video.rgb) <= max_frames
        assert 1 <= len(video.labels) <= num_classes
        assert video.labels.max() < num_classes


# The world


def test_two_fifths_of_the_labels_are_visual_and_a_fifth_each_of_the_others():
    kinds = make_world(num_classes=100).kinds
    counts = {kind: kinds.count(kind) for kind in ("visual", "audio", "order", "both")}
    assert counts == {"visual": 40, "audio": 20, "order": 20, "both": 20}


@pytest.mark.parametrize("num_classes", [2, 3, 7, 9, 10, 61, 90])
@pytest.mark.parametrize("seed", range(5))
def test_order_labels_come_in_pairs_of_one_vertical_and_like_frequency(num_classes, seed):
    world = make_world(num_classes=num_classes, seed=seed)
    assert world.kinds[:2] == ("visual", "visual")
    order = [label for label, kind in enumerate(world.kinds) if kind == "order"]
    assert order[1::2] == [label + 1 for label in order[::2]]
    assert all(label % 2 == 0 for label in order[::2])
    for label in order[::2]:
        assert world.verticals[label] == world.verticals[label + 1]
        assert world.weights[label + 1] / world.weights[label] > 0.8
        np.testing.assert_array_equal(world.events[label], world.events[label + 1][::-1])


def test_labels_carry_nothing_in_the_features_that_they_do_not_depend_on():
    world = make_world()
    for kind, event_ED in zip(world.kinds, world.events, strict=True):
        rgb, audio = event_ED[:, :16], event_ED[:, 16:]
        assert rgb.any() == (kind != "audio")
        assert audio.any() == (kind in ("audio", "both"))
        assert len(event_ED) == (2 if kind == "order" else 1)


def test_a_silent_and_invisible_label_changes_no_pixel():
    world = make_world()
    label = world.kinds.index("audio")
    with_label, without = (
        world.draw_frames(np.random.default_rng(0), np.array(labels, np.int64), 20)
        for labels in ([label], [])
    )
    np.testing.assert_array_equal(with_label[:, :16], without[:, :16])
    assert (with_label[:, 16:] != without[:, 16:]).any()


def test_the_frame_mean_does_not_tell_an_order_pair_apart_but_time_does():
    world = make_world()
    first, second = order_pair(world)
    contrast_D = world.events[first][0] - world.events[first][1]
    contrast_D /= np.linalg.norm(contrast_D)
    for weigh, is_told in ((np.ones, False), (lambda n: np.linspace(1, -1, n), True)):
        a, b = (mean_frames(world, label, 2000, weigh) @ contrast_D for label in (first, second))
        # The background's deviation is 0.5, so a mean over 2000 videos is good to 0.02.
        assert (abs(a - b) > 0.3) == is_told
        assert abs(a - b) < 0.08 or a > 0.1 > -0.1 > b


def test_a_video_of_one_order_label_is_one_of_its_partner_backwards():
    """For the same segments, mirrored: so the sets of frames are alike in distribution."""
    num_frames, counts = 4, [{}, {}]
    rng = np.random.default_rng(0)
    for _ in range(20000):
        (a, b), (c, d) = draw_segments(rng, 2, num_frames)
        mirrored = ((num_frames - d, num_frames - c), (num_frames - b, num_frames - a))
        for seen, segments in zip(counts, (((a, b), (c, d)), mirrored), strict=True):
            seen[segments] = seen.get(segments, 0) + 1
    assert counts[0].keys() == counts[1].keys()
    for segments, count in counts[0].items():
        assert abs(count - counts[1][segments]) < 5 * np.sqrt(2 * count)


@pytest.mark.parametrize("num_events", [1, 2])
@pytest.mark.parametrize("num_frames", [1, 2, 3, 10, 300])
def test_segments_lie_in_the_video_and_apart(num_events, num_frames):
    rng = np.random.default_rng(0)
    for _ in range(300):
        segments = draw_segments(rng, num_events, num_frames)
        assert len(segments) == num_events
        assert all(0 <= start < stop <= num_frames for start, stop in segments)
        if num_events == 2 and num_frames > 1:
            assert segments[0][1] <= segments[1][0]


def test_labels_of_a_video_share_a_vertical_and_hold_no_two_order_labels():
    world = make_world()
    for index in range(500):
        video = world.video("train", index)
        for labels in (video.labels, video.true_labels):
            assert len(set(world.verticals[labels])) == 1
            assert sum(world.kinds[label] == "order" for label in labels) <= 1
            assert list(labels) == sorted(set(labels))


def test_frequencies_follow_zipf_and_videos_have_about_three_labels():
    world = make_world(num_classes=80, rgb_size=1, audio_size=1, max_frames=1)
    videos = [world.video("train", index) for index in range(4000)]
    counts = np.bincount(np.concatenate([video.labels for video in videos]), minlength=80)
    assert counts.argmax() == 0
    assert counts.min() > 0
    # Verticals of unlike size move single labels off their rank; the whole keeps Zipf's shape.
    assert np.corrcoef(np.log(counts), np.log(world.weights))[0, 1] > 0.8
    assert np.corrcoef(np.log(np.sort(counts)[::-1]), np.log(world.weights))[0, 1] > 0.97
    assert 2.4 < counts.sum() / 4000 < 3.4


def test_order_labels_are_not_crowded_out():
    world = make_world(num_classes=80, rgb_size=1, audio_size=1, max_frames=1)
    labels = np.concatenate([world.video("train", index).labels for index in range(2000)])
    counts = np.bincount(labels, minlength=80)
    is_order = np.array([kind == "order" for kind in world.kinds])
    assert counts[is_order].mean() > 0.55 * counts[~is_order].mean()
    assert np.bincount(world.verticals[is_order]).max() == 2


def test_noise_drops_a_tenth_of_the_labels_and_adds_to_a_tenth_of_the_videos():
    world = make_world(num_classes=80, rgb_size=1, audio_size=1, max_frames=1)
    dropped = added = true = 0
    for index in range(4000):
        video = world.video("train", index)
        missed = np.setdiff1d(video.true_labels, video.labels)
        false = np.setdiff1d(video.labels, video.true_labels)
        assert len(missed) < len(video.true_labels)
        assert len(false) <= 1
        if len(video.true_labels) > 1:
            dropped, true = dropped + len(missed), true + len(video.true_labels)
        added += len(false)
    assert 0.085 < dropped / true < 0.115
    assert 0.085 < added / 4000 < 0.115


def test_splits_seeds_and_indices_give_different_videos():
    frames = {
        make_world(seed=seed).video(split, index).rgb.tobytes()
        for seed in (0, 1)
        for split in ("train", "val")
        for index in (0, 1)
    }
    assert len(frames) == 8


def test_quantise_inverts_the_dequantisation_of_youtube_8m():
    q = np.arange(256, dtype=np.uint8)
    x = q.astype(np.float32) * np.float32(4 / 255) + np.float32(4 / 512 - 2)
    np.testing.assert_array_equal(quantise(x), q)
    np.testing.assert_array_equal(quantise(np.array([-9, 9], np.float32)), [0, 255])


def test_every_pair_of_kinds_is_declared():
    assert set(_synth_world.KINDS_OF_PAIRS) == {"visual", "audio", "order", "both"}


# Parts


@pytest.mark.parametrize("num_parts", [1, 2, 3, 7])
def test_parts_made_apart_are_the_whole_to_the_byte(tmp_path, monkeypatch, num_parts):
    monkeypatch.setattr(_synth, "VIDEOS_PER_SHARD", 4)
    whole = synthesize(tmp_path / "whole", seed=5, **SMALL)
    together, num_written = {}, 0
    for k in range(1, num_parts + 1):
        part = synthesize(tmp_path / f"{k}", seed=5, part=(k, num_parts), **SMALL)
        num_written += part.num_written
        assert (part.num_train, part.num_val, part.best_gap) == (19, 4, whole.best_gap)
        for name, data in contents(part.folder).items():
            assert together.setdefault(name, data) == data
    assert together == contents(whole.folder)
    assert num_written == whole.num_written == 23


@pytest.mark.parametrize("part", [(0, 2), (3, 2), (1, 0)])
def test_a_part_that_there_is_not_is_refused(tmp_path, part):
    with pytest.raises(UsageError, match=f"--part {part[0]}/{part[1]}: no such part"):
        synthesize(tmp_path / "raw", part=part, **SMALL)


def test_memory_does_not_grow_with_the_number_of_videos(tmp_path, monkeypatch):
    monkeypatch.setattr(_synth, "best_gap", lambda *_: 1.0)  # its accumulator has a bound
    peaks = []
    for num_videos in (200, 200, 2000):  # the first call fills caches
        tracemalloc.start()
        sizes = SMALL | {"num_videos": num_videos, "max_frames": 30}
        synthesize(tmp_path / "raw", overwrite=True, **sizes)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.5 * peaks[1] + 50_000


def test_labels_made_without_frames_are_those_of_the_video():
    world = make_world()
    for index in range(200):
        video = world.video("val", index)
        labels, true_labels = world.labels("val", index)
        np.testing.assert_array_equal(labels, video.labels)
        np.testing.assert_array_equal(true_labels, video.true_labels)


def test_a_decoy_is_half_of_a_label_that_is_not_there():
    world = make_world()
    halves = {"rgb": 0, "audio": 0}
    for index in range(300):
        video = world.video("train", index)
        if video.decoy is None:
            continue
        label, feature = video.decoy
        assert world.kinds[label] == "both"
        assert label not in video.true_labels
        assert world.verticals[label] == world.verticals[video.true_labels[0]]
        halves[feature] += 1
    assert min(halves.values()) > 30
