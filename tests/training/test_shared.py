"""The holdout predicted by two ranks is what one predicts, to the bit."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from gapkit.data import FrameStore
from gapkit.metrics import score
from gapkit.predicting import predict_split
from gapkit.training import load_run
from gapkit.training._loop.ranks import Ranks
from gapkit.training._loop.shared import predict_shared

TESTS = Path(__file__).parents[1]
RANK = """\
import sys
import numpy as np
import torch.distributed as dist
from gapkit.data import FrameStore
from gapkit.training import load_run
from gapkit.training._loop.ranks import Ranks
from gapkit.training._loop.shared import predict_shared
rank, num_ranks, place, run, data = *map(int, sys.argv[1:3]), *sys.argv[3:6]
dist.init_process_group("gloo", init_method=f"file://{place}", rank=rank, world_size=num_ranks)
store, calls = FrameStore(data + "/val"), []
predictor = load_run(run, device="cpu").predictor
predict = predictor.predict
def count(batch):
    calls.append(len(batch))
    return predict(batch)
predictor.predict = count
for size in (1, 7, 50, 100):
    calls.clear()
    told = []
    options = {"batch_size": size, "name": "x", "progress": lambda *done: told.append(done)}
    shared = predict_shared(Ranks(), predictor, store, **options)
    np.savez(f"{place}.{rank}.{size}.npz", calls=calls, **{
        name: getattr(shared, name) for name in ("labels", "confidences", "lengths")})
    assert len(told) == len(calls) and shared.ids.tolist() == store.ids.tolist()
dist.barrier()
dist.destroy_process_group()
"""


def test_three_ranks_predict_what_one_does_to_the_bit(data, mean_run, tmp_path):
    arguments = ["3", str(tmp_path / "meet"), str(mean_run), str(data)]
    launch = [sys.executable, "-W", "ignore", "-c", RANK]
    ranks = [
        subprocess.Popen([*launch, str(rank), *arguments], stderr=subprocess.PIPE, text=True)
        for rank in range(3)
    ]
    try:
        errors = [rank.communicate(timeout=100)[1] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [rank.returncode for rank in ranks] == [0] * 3, [error[-2000:] for error in errors]
    store, predictor = FrameStore(data / "val"), load_run(mean_run, device="cpu").predictor
    for size in (1, 7, 50, 100):
        alone = predict_split(predictor, store, batch_size=size)
        calls = []
        for rank in range(3):
            shared = np.load(tmp_path / f"meet.{rank}.{size}.npz")
            for name in ("labels", "confidences", "lengths"):
                np.testing.assert_array_equal(shared[name], getattr(alone, name))
                assert shared[name].dtype == getattr(alone, name).dtype
            calls.append(int(shared["calls"].sum()))
        assert sum(calls) == len(store)
        assert size == 100 or max(calls) < len(store)


def test_alone_it_is_the_plain_prediction(data, mean_run):
    store, predictor = FrameStore(data / "val"), load_run(mean_run, device="cpu").predictor
    shared = predict_shared(Ranks(), predictor, store, batch_size=16, name="mean_lr")
    alone = predict_split(predictor, store, batch_size=16)
    assert score(shared, store.labels) == score(alone, store.labels)
