"""A predictor by a formula, and what it predicts, one video and one start at a time."""

from types import SimpleNamespace

import numpy as np
import oracles

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


def poke(value, row=1, label=2):
    def change(fine):
        fine[row, label] = value
        return fine

    return change
