from types import SimpleNamespace

import numpy as np
import oracles
import pytest
import records

from gapkit.data import FrameStore, import_tfrecords
from gapkit.errors import DataError, PredictorError, UsageError
from gapkit.io import read_predictions
from gapkit.predicting import predict_blocks, predict_split, write_split
from gapkit.predictions import Predictions

NUM_VIDEOS, NUM_CLASSES, STRIDE = 17, 9, 3
WEIGHTS = np.random.default_rng(5).random((4, NUM_CLASSES))


class Linear:
    """Confidences from the mean of the frames that count, by the formula."""

    def __init__(self, **config):
        self.batch_sizes = []
        if config:
            self.config = SimpleNamespace(**config)

    def predict(self, batch):
        self.batch_sizes.append(len(batch))
        sums = batch.features["rgb"].astype(np.float64).sum(axis=1)
        return score(sums / batch.num_frames[:, None]).astype(np.float32)


class Returning:
    """Whatever `change` makes of confidences that are fine."""

    def __init__(self, change):
        self.change = change

    def predict(self, batch):
        return self.change(np.full((len(batch), NUM_CLASSES), 0.5, np.float32))


def score(mean):
    return np.round(mean / 255 @ WEIGHTS / 4, 2)  # rounded: ties at the cut


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


def expect(frames, starts, *, stride=STRIDE, max_frames=None, top_k=20):
    """The predictions as {id: [(label, confidence), ...]}, one video and one start at a time."""
    result = {}
    for id_, frames_TD in frames.items():
        crops = [oracles.crop(frames_TD, start, stride, max_frames) for start in starts]
        each = [np.float32(score(crop.mean(axis=0, dtype=np.float64))) for crop in crops]
        mean = np.mean(np.float64(each), axis=0).astype(np.float32)
        (result[id_],) = oracles.top_k_rows(mean[None], top_k)
    return result


def to_dict(table):
    rows = zip(table.ids, table.labels.tolist(), table.confidences.tolist(), strict=True)
    return {id_: list(zip(*row, strict=True)) for id_, *row in rows}


@pytest.mark.parametrize("starts", [[0], [2], [0, 1, 2, 3, 4], [7, 0], [100], [1, 1]])
@pytest.mark.parametrize("top_k", [1, 3, 20])
def test_starts_are_averaged_dense_before_the_cut(store, frames, starts, top_k):
    table = predict_split(Linear(), store, starts=starts, top_k=top_k, batch_size=5)
    assert to_dict(table) == expect(frames, starts, top_k=top_k)
    assert table.num_classes == NUM_CLASSES


@pytest.mark.parametrize(
    "config", [{"stride": 2}, {"max_frames": 2}, {"stride": 1, "max_frames": 4}, {"depth": 3}]
)
def test_the_config_of_a_predictor_cuts_its_crops(store, frames, config):
    cut = {key: value for key, value in config.items() if key != "depth"}
    table = predict_split(Linear(**config), store, starts=[0, 4])
    assert to_dict(table) == expect(frames, [0, 4], **cut)


@pytest.mark.parametrize("batch_size", [1, 5, 17, 128])
def test_batches_do_not_change_the_predictions(store, frames, batch_size):
    predictor, steps = Linear(), []
    blocks = list(
        predict_blocks(
            predictor, store, batch_size=batch_size, progress=lambda *step: steps.append(step)
        )
    )
    sizes = [len(block) for block in blocks]
    assert sizes == predictor.batch_sizes
    assert max(sizes) == min(batch_size, NUM_VIDEOS)
    assert steps == [(int(done), NUM_VIDEOS) for done in np.cumsum(sizes)]
    assert to_dict(Predictions.concat(blocks)) == expect(frames, [0])


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_any_float_type_and_the_bounds_are_taken(store, kind):
    confidences = np.tile(np.linspace(0, 1, NUM_CLASSES), (NUM_VIDEOS, 1)).astype(kind)
    table = predict_split(Returning(lambda fine: confidences[: len(fine)]), store)
    assert table == Predictions.from_dense(confidences.astype(np.float32), store.ids)


def poke(value, row=1, label=2):
    def change(fine):
        fine[row, label] = value
        return fine

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (poke(np.nan), ["nan for label 2 of video 'v1'", "[0, 1]"]),
        (poke(-0.25), ["-0.25 for label 2 of video 'v1'"]),
        (poke(1.5), ["1.5 for label 2 of video 'v1'"]),
        (poke(np.inf), ["inf for label 2 of video 'v1'"]),
        (lambda fine: fine[:, 1:], ["(5, 8)", "(5, 9)"]),
        (lambda fine: fine[1:], ["(4, 9)", "(5, 9)"]),
        (lambda fine: fine[0], ["(9,)", "(5, 9)"]),
        (lambda fine: fine[None], ["(1, 5, 9)"]),
        (lambda fine: fine.astype(np.int64), ["int64"]),
        (lambda fine: fine > 0, ["bool"]),
        (lambda fine: fine.astype(complex), ["complex128"]),
        (lambda fine: None, ["object"]),
        (lambda fine: [[0.5], [0.5, 0.5]], ["array"]),
        (lambda fine: 1 / 0, ["'v0'", "ZeroDivisionError: division by zero"]),
        (lambda fine: {}["x\ny"], ["'v0'", "KeyError"]),
    ],
)
def test_wrong_returns_name_predictor_label_and_video(store, change, words):
    with pytest.raises(PredictorError, match="predictor 'mine'") as error:
        predict_split(Returning(change), store, name="mine", batch_size=5)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert "\n" not in str(error.value)


def test_errors_of_ours_pass_and_the_class_names_what_has_no_name(store):
    def fail(fine):
        raise DataError("as it is")

    with pytest.raises(DataError, match=r"^as it is$"):
        predict_split(Returning(fail), store)
    with pytest.raises(PredictorError, match="predictor 'Returning'"):
        predict_split(Returning(poke(2)), store)


def test_an_interrupt_is_not_swallowed(store):
    def interrupt(fine):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_split(Returning(interrupt), store)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"starts": []}, "starts are"),
        ({"starts": [0, -1]}, "-1"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"top_k": 0}, "top_k is 0"),
    ],
)
def test_wrong_options_are_usage_errors(store, options, words):
    with pytest.raises(UsageError, match=words):
        predict_split(Linear(), store, **options)


def test_a_split_is_written_with_what_made_it(store, frames, tmp_path):
    path = tmp_path / "p.parquet"
    made = {"predictor": "linear"}
    assert write_split(Linear(), store, path, starts=[0, 2], provenance=made) == [path]
    table = read_predictions(path)
    assert to_dict(table) == expect(frames, [0, 2])
    assert table.provenance == {"predictor": "linear", "split": str(store.path), "starts": [0, 2]}


@pytest.mark.parametrize("name", ["p.{}parquet", "p.{}csv.gz"])
def test_separate_starts_are_written_one_a_file(store, frames, tmp_path, name):
    written = write_split(Linear(), store, tmp_path / name.format(""), starts=[0, 3], separate=True)
    assert written == [tmp_path / name.format(f"start{start}.") for start in (0, 3)]
    assert sorted(tmp_path.iterdir()) == sorted(written)
    for start, path in zip((0, 3), written, strict=True):
        assert to_dict(read_predictions(path)) == expect(frames, [start])


@pytest.mark.parametrize("separate", [False, True])
def test_a_failing_predictor_leaves_what_was_there(store, tmp_path, separate):
    path = tmp_path / "p.parquet"
    write_split(Linear(), store, path, starts=[0], separate=separate)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(PredictorError):
        write_split(Returning(poke(7, row=0)), store, path, separate=separate, batch_size=5)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("starts", [[], [-1]])
@pytest.mark.parametrize("separate", [False, True])
def test_wrong_starts_write_nothing(store, tmp_path, starts, separate):
    with pytest.raises(UsageError, match="starts are"):
        write_split(Linear(), store, tmp_path / "p.parquet", starts=starts, separate=separate)
    assert not list(tmp_path.iterdir())


def test_separate_files_appear_all_or_none(store, tmp_path):
    class FailsAtTheSecondStart(Linear):
        def predict(self, batch):
            if len(self.batch_sizes) == 1:
                raise RuntimeError("second start")
            return super().predict(batch)

    path = tmp_path / "p.parquet"
    with pytest.raises(PredictorError, match="second start"):
        write_split(
            FailsAtTheSecondStart(),
            store,
            path,
            starts=[0, 1],
            separate=True,
            batch_size=NUM_VIDEOS,
        )
    assert not list(tmp_path.iterdir())
