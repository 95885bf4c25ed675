import sys

import numpy as np
import pytest
import torch
from linear import NUM_CLASSES, NUM_VIDEOS, Linear, Returning, expect, poke, to_dict

from gapkit.errors import DataError, PredictorError, UsageError
from gapkit.predicting import default_batch_size, predict_blocks, predict_split
from gapkit.predictions import Predictions


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
        (lambda fine: sys.exit(0), ["'v0'", "SystemExit: 0"]),
        (
            lambda fine: torch.tensor(fine, requires_grad=True),
            ["returned no array", "requires grad"],
        ),
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


class Hungry(Linear):
    """Has memory for `most` videos."""

    def __init__(self, most, error):
        super().__init__()
        self.most, self.error = most, error

    def predict(self, batch):
        if len(batch) > self.most:
            raise self.error
        return super().predict(batch)


class OutOfMemoryError(RuntimeError):
    """As torch's."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OutOfMemoryError("CUDA out of memory."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 3 bytes"),
    ],
)
def test_a_batch_that_does_not_fit_is_halved_and_so_are_those_after_it(store, frames, error):
    predictor, said = Hungry(5, error), []
    blocks = list(predict_blocks(predictor, store, batch_size=16, tell=said.append))
    assert [len(block) for block in blocks] == [4, 4, 4, 4, 1]
    assert said == [
        "out of memory with 16 videos a batch: going on with 8",
        "out of memory with 8 videos a batch: going on with 4",
    ]
    assert to_dict(Predictions.concat(blocks)) == expect(frames, [0])


def test_a_video_that_does_not_fit_alone_is_named(store):
    with pytest.raises(PredictorError, match=r"'mine' ran out of memory on video 'v0' alone"):
        predict_split(Hungry(0, MemoryError()), store, name="mine")


def test_another_runtime_error_is_no_lack_of_memory(store):
    with pytest.raises(PredictorError, match="RuntimeError: shapes"):
        predict_split(Hungry(5, RuntimeError("shapes")), store)


@pytest.mark.parametrize(
    ("num_classes", "expected"), [(1, 128), (4716, 128), (10**6, 33), (10**9, 1)]
)
def test_default_batch_is_smaller_for_very_many_labels(num_classes, expected):
    assert default_batch_size(num_classes) == expected


def test_several_predictors_are_averaged_dense_before_the_cut(store):
    alone = [
        predict_split(Returning(lambda fine, c=c: fine * c), store).to_dense() for c in (0.5, 1)
    ]
    together = [Returning(lambda fine, c=c: fine * c) for c in (0.5, 1)]
    table = predict_split(together, store, starts=[0, 1])
    np.testing.assert_array_equal(table.to_dense(), (alone[0] + alone[1]) / 2)
    with pytest.raises(UsageError, match="predictors are"):
        predict_split([], store)


@pytest.mark.parametrize("config", [{}, {"stride": 2, "max_frames": 2}])
def test_full_gives_every_frame_from_the_start_on(store, frames, config):
    table = predict_split(Linear(**config), store, starts=[0, 4], full=True)
    assert to_dict(table) == expect(frames, [0, 4], stride=1, max_frames=None)


def test_first_leaves_out_the_videos_before_it(store, frames):
    table = predict_split(Linear(), store, first=15)
    assert list(table.ids) == ["v15", "v16"]
    assert to_dict(table).items() <= expect(frames, [0]).items()


@pytest.mark.parametrize(("last", "expected"), [(7, [3, 4, 5, 6]), (4, [3]), (99, range(3, 17))])
def test_last_leaves_out_the_videos_from_it_on(store, frames, last, expected):
    table = predict_split(Linear(), store, first=3, last=last, batch_size=3)
    assert list(table.ids) == [f"v{i}" for i in expected]
    assert to_dict(table).items() <= expect(frames, [0]).items()
