import numpy as np
import pytest

from gapkit.errors import DataError
from gapkit.io import scan_predictions, write_predictions
from gapkit.metrics import score, score_blocks
from gapkit.predictions import Labels, Predictions


def tables(num_videos=500):
    rng = np.random.default_rng(0)
    ids = [f"v{n}" for n in range(num_videos)]
    predictions = Predictions.from_dense(rng.random((num_videos, 30)), ids, top_k=10)
    order = rng.permutation(num_videos)[20:]
    truth = Labels.from_dense(rng.random((len(order), 30)) < 0.1, [ids[n] for n in order])
    return predictions, truth


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "csv"])
@pytest.mark.parametrize("rows_per_block", [7, 10_000])
def test_blocks_of_a_file_score_as_the_whole(tmp_path, suffix, rows_per_block):
    predictions, truth = tables()
    path = tmp_path / f"p.{suffix}"
    write_predictions(path, predictions)
    whole = score(predictions, truth, top_k=5)
    blocks = scan_predictions(path, rows_per_block=rows_per_block)
    streamed = score_blocks(blocks, truth, top_k=5)
    low, high = streamed.gap_bounds
    assert low <= whole.gap <= high
    for field in ("hit_at_1", "perr", "num_videos", "num_positives", "missing", "ignored"):
        assert getattr(streamed, field) == getattr(whole, field), field


def test_missing_videos_count():
    predictions, truth = tables()
    some = Predictions(
        predictions.ids[:100], predictions.labels[:100], predictions.confidences[:100]
    )
    streamed = score_blocks([some], truth)
    assert streamed.missing == score(some, truth).missing > 0
    assert streamed.perr == score(some, truth).perr


def test_a_video_in_two_blocks_is_refused():
    predictions, truth = tables()
    with pytest.raises(DataError, match=r"\(id 'v\d+'\).*twice"):
        score_blocks([predictions, predictions], truth)
