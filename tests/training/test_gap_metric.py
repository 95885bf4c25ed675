"""GapMetric with torchmetrics and without, in one process and in two."""

import copy
import importlib.util
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from gapkit.errors import DataError, UsageError
from gapkit.metrics import GapAccumulator, gap
from gapkit.training import GapMetric, _gap_metric

TESTS = Path(__file__).parents[1]


def without_torchmetrics():
    """The module as it is where torchmetrics is not installed."""
    spec = importlib.util.spec_from_file_location("gap_metric_alone", _gap_metric.__file__)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torchmetrics", None)
        spec.loader.exec_module(module)
    return module.GapMetric


Alone = without_torchmetrics()


@pytest.fixture(params=["as installed", "alone"])
def kind(request):
    return GapMetric if request.param == "as installed" else Alone


def batches(num=5, rows=7, seed=0):
    rng = np.random.default_rng(seed)
    return [
        (
            torch.from_numpy(rng.integers(0, 9, (rows, 30)).astype(np.float32) / 9),
            torch.from_numpy(rng.random((rows, 30)) < 0.1),
        )
        for _ in range(num)
    ]


def whole(parts, **options):
    return gap(
        torch.cat([preds for preds, _ in parts]), torch.cat([true for _, true in parts]), **options
    )


def test_it_is_a_metric_of_torchmetrics_where_that_is_installed():
    torchmetrics = pytest.importorskip("torchmetrics")
    assert issubclass(GapMetric, torchmetrics.Metric)
    assert not issubclass(Alone, torchmetrics.Metric)
    assert issubclass(Alone, nn.Module)


@pytest.mark.parametrize("options", [{}, {"top_k": 3}, {"top_k": None}, {"ties": "optimistic"}])
def test_value_is_that_of_gap_to_the_bit(kind, options):
    metric, parts = kind(**options), batches()
    for preds, true in parts:
        assert float(metric(preds, true)) == gap(preds, true, **options)
    value = metric.compute()
    assert (value.shape, value.dtype) == ((), torch.float64)
    assert float(value) == whole(parts, **options)
    metric.reset()
    metric.update(*parts[0])
    assert float(metric.compute()) == gap(*parts[0], **options)


def test_compute_may_be_asked_between_updates(kind):
    metric, parts = kind(), batches()
    for number, part in enumerate(parts, 1):
        metric.update(*part)
        assert float(metric.compute()) == whole(parts[:number])


def test_memory_is_bounded_and_the_value_exact(kind):
    metric, parts = kind(max_memory=1 << 19), batches(40, 500)
    for preds, true in parts:
        metric.update(preds, true)
    assert len(pickle.dumps(metric._accumulator._parts)) < 1 << 20
    assert float(metric.compute()) == whole(parts)


def test_state_dict_is_empty_and_loads(kind):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.metric = nn.Linear(2, 2), kind()

    model = Model()
    model.metric.update(*batches()[0])
    assert set(model.state_dict()) == {"linear.weight", "linear.bias"}
    Model().load_state_dict(model.state_dict())
    assert not list(model.metric.parameters())


def test_copies_go_their_own_way(kind):
    metric, parts = kind(), batches()
    metric.update(*parts[0])
    other = copy.deepcopy(metric)
    other.update(*parts[1])
    assert float(metric.compute()) == whole(parts[:1])
    assert float(other.compute()) == whole(parts[:2])


def test_it_moves_and_takes_low_precision(kind):
    metric = kind().to("cpu").to(torch.float32)
    preds, true = batches()[0]
    metric.update(preds.bfloat16().requires_grad_(), true.int())
    assert float(metric.compute()) == gap(preds.bfloat16().float(), true)
    metric.reset()
    metric.update(preds.half(), true)
    assert float(metric.compute()) == gap(preds.half(), true)


def test_no_positives_is_zero(kind):
    metric = kind()
    metric.update(torch.rand(3, 4), torch.zeros(3, 4, dtype=torch.bool))
    assert float(metric.compute()) == 0


def test_wrong_input_is_named_and_keeps_nothing(kind):
    metric, parts = kind(), batches()
    metric.update(*parts[0])
    for preds, true in ((parts[1][0] * np.nan, parts[1][1]), (parts[1][0], parts[1][1][:, 1:])):
        with pytest.raises(DataError):
            metric.update(preds, true)
    assert float(metric.compute()) == whole(parts[:1])
    with pytest.raises(UsageError, match="top_k"):
        kind(top_k=0)


def test_it_is_collected_with_others():
    torchmetrics = pytest.importorskip("torchmetrics")
    collection = torchmetrics.MetricCollection({"a": GapMetric(), "b": GapMetric(top_k=1)})
    preds, true = batches()[0]
    collection(preds, true)
    collection.update(preds, true)
    twice = [(preds, true)] * 2
    assert {name: float(value) for name, value in collection.compute().items()} == {
        "a": whole(twice),
        "b": whole(twice, top_k=1),
    }


def test_blocks_of_an_accumulator_make_another(kind):
    for max_memory in (None, 1):
        first, second = GapAccumulator(max_memory=max_memory), GapAccumulator()
        for preds, true in batches(60, 300):
            first.update(preds, true)
        for confidences, hits in first.blocks():
            second.update_hits(confidences, hits, 0)
        second.update_hits(np.empty(0, np.float32), np.empty(0, bool), first.num_positives)
        assert first.compute() == second.compute() > 0


RANK = """\
import sys
import torch.distributed as dist
from training.test_gap_metric import Alone, GapMetric, batches, whole
rank, place = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method=f"file://{place}", rank=rank, world_size=2)
parts = batches(9)
mine = parts[:2] if rank == 0 else parts[2:]
for kind in (GapMetric, Alone):
    for options in ({}, {"max_memory": 1}):
        metric = kind(**options)
        for preds, true in mine:
            assert float(metric(preds, true)) == whole([(preds, true)])
        assert float(metric.compute()) == whole(parts)
        metric.update(*batches(1, seed=9)[0])
        assert float(metric.compute()) == whole(parts + batches(1, seed=9) * 2)
    alone = kind(sync_on_compute=False)
    alone.update(*mine[0])
    assert float(alone.compute()) == whole(mine[:1])
    empty = kind()
    if rank == 1:
        empty.update(*mine[0])
        assert float(empty.compute()) == whole(mine[:1])
    else:
        empty._update_count = 1
        assert float(empty.compute()) == whole(parts[2:3])
    try:
        kind(top_k=5 + rank).sync()
    except Exception as error:
        assert "Make them alike" in str(error), error
    else:
        raise AssertionError("no error")
dist.barrier()
dist.destroy_process_group()
print("fine")
"""


def test_two_ranks_have_the_value_of_one_to_the_bit(tmp_path):
    ranks = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", RANK, str(rank), str(tmp_path / "meet")],
            cwd=TESTS,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        outputs = [rank.communicate(timeout=100) for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [(rank.returncode, out) for rank, (out, _) in zip(ranks, outputs, strict=True)] == [
        (0, "fine\n")
    ] * 2, [err[-2000:] for _, err in outputs]


@pytest.mark.filterwarnings("ignore")
def test_lightning_logs_it(tmp_path):
    lightning = pytest.importorskip("pytorch_lightning")
    parts = batches(4)

    class Model(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.linear, self.metric = nn.Linear(1, 1), GapMetric()

        def validation_step(self, batch, index):
            self.metric(*(tensor[0] for tensor in batch))
            self.log("gap", self.metric, on_step=False, on_epoch=True)

    trainer = lightning.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    loader = torch.utils.data.DataLoader(parts, batch_size=1)
    model = Model()
    for _ in range(2):  # it is reset between epochs
        (logged,) = trainer.validate(model, loader, verbose=False)
        assert logged["gap"] == whole(parts)
