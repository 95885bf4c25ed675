"""`gapkit demo`: the whole way, from a synthetic corpus to a scored ensemble."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gapkit.cli._console import Progress, print_table
from gapkit.cli._train import format_epoch

if TYPE_CHECKING:
    from gapkit.predictions import Predictions

STARTS = (0, 1, 2)


@dataclass(frozen=True, kw_only=True)
class _Model:
    """A row of the demo's table."""

    run: str
    """Name of its run"""
    predictor: str
    """Name of its predictor"""
    shows: str
    """What it reads, for the table"""
    epochs: int
    batch_size: int
    lr: float
    settings: dict[str, str] = field(default_factory=dict)


MODELS = (
    _Model(
        run="mean_lr_rgb",
        predictor="mean_lr",
        shows="frames without order, no audio",
        epochs=10,
        batch_size=64,
        lr=0.02,
        settings={"features": "rgb"},
    ),
    _Model(
        run="mean_lr",
        predictor="mean_lr",
        shows="frames without order",
        epochs=10,
        batch_size=64,
        lr=0.02,
    ),
    _Model(
        run="lstm_ln",
        predictor="lstm_ln",
        shows="frames in order",
        epochs=10,
        batch_size=64,
        lr=0.002,
        settings={"hidden_size": "128"},
    ),
)


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of its files.")] = Path(
        "gapkit-demo"
    ),
) -> None:
    """Run the whole way on a synthetic corpus.

    Make it, import it, train, predict, score and ensemble, in a minute or two.
    """
    began = time.monotonic()
    _make_data(output)
    for model in MODELS:
        _train(output, model)
        _predict(output, model)
    _print_results(output)
    print(
        f"\n{time.monotonic() - began:.0f} s. Its files are in {output}. Try next:\n"
        f"  gapkit ensemble {output}/submissions/*.parquet -o {output}/mine.parquet\n"
        f"  gapkit score {output}/mine.parquet --data {output}/data --labels val"
    )


def _make_data(output: Path) -> None:
    from gapkit.data import import_tfrecords, synthesize

    corpus = output / "corpus"
    sizes = {"num_videos": 8000, "num_classes": 80, "rgb_size": 64, "audio_size": 32}
    options = " ".join(f"--{key.replace('_', '-')} {value}" for key, value in sizes.items())
    print(f"$ gapkit data synth -o {corpus} {options} --max-frames 80", flush=True)
    with Progress("making", "videos") as progress:
        synthesize(corpus, **sizes, max_frames=80, part=None, overwrite=True, progress=progress)
    for split in ("train", "val"):
        print(f"$ gapkit data import {corpus}/{split}-*.tfrecord -o {output}/data/{split}")
        files = sorted(corpus.glob(f"{split}-*.tfrecord"))
        import_tfrecords(files, output / "data" / split, overwrite=True)


def _train(output: Path, model: _Model) -> None:
    from gapkit.training import TrainingConfig, train

    settings = "".join(f" --set {key}={value}" for key, value in model.settings.items())
    print(
        f"$ gapkit train {model.predictor} --data {output}/data -o {output}/runs/{model.run} "
        f"--epochs {model.epochs} --batch-size {model.batch_size} --lr {model.lr}{settings}",
        flush=True,
    )
    with Progress("epoch 1", "videos") as progress:
        epochs = train(
            model.predictor,
            output / "data",
            output / "runs" / model.run,
            settings=model.settings,
            training=TrainingConfig(
                epochs=model.epochs, batch_size=model.batch_size, learning_rate=model.lr
            ),
            device="cpu",
            overwrite=True,
            progress=progress,
        )
    print(f"  {format_epoch(epochs[-1])}")


def _predict(output: Path, model: _Model) -> None:
    from gapkit.data import FrameStore
    from gapkit.predicting import write_split
    from gapkit.training import load_run

    run, path = output / "runs" / model.run, output / "submissions" / f"{model.run}.parquet"
    print(
        f"$ gapkit predict {run} --data {output}/data --split val "
        f"--starts {','.join(map(str, STARTS))} --separate -o {path}",
        flush=True,
    )
    loaded = load_run(run, device="cpu")
    write_split(
        loaded.predictor,
        FrameStore(output / "data" / "val"),
        path,
        starts=STARTS,
        separate=True,
        batch_size=loaded.batch_size,
        name=loaded.name,
        provenance={"predictor": loaded.name, "run": str(run), "checkpoint": loaded.checkpoint},
    )


def _print_results(output: Path) -> None:
    from gapkit.ensemble import average
    from gapkit.io import read_labels, read_predictions, write_predictions
    from gapkit.metrics import gap

    labels = read_labels(output / "data" / "val" / "labels.parquet")
    folder = output / "submissions"
    crops: dict[str, list[Predictions]] = {
        model.run: [read_predictions(folder / f"{model.run}.start{s}.parquet") for s in STARTS]
        for model in MODELS
    }
    pair = [model.run for model in MODELS if not model.run.endswith("_rgb")]
    together = average([crop for run in pair for crop in crops[run]])
    path = output / "ensemble.parquet"
    files = " ".join(f"{folder}/{run}.start*.parquet" for run in pair)
    write_predictions(path, together)
    print(f"$ gapkit ensemble {files} -o {path}")
    print(f"$ gapkit score {folder}/*.parquet {path} --data {output}/data --labels val\n")
    singles = {run: [gap(crop, labels) for crop in members] for run, members in crops.items()}
    averaged = {run: gap(average(members), labels) for run, members in crops.items()}
    each_start = [gap(average([crops[run][i] for run in pair]), labels) for i in range(len(STARTS))]
    whole = gap(together, labels)
    rows = [
        [model.run, model.shows, *_figures(singles[model.run]), f"{averaged[model.run]:.4f}"]
        for model in MODELS
    ]
    rows.append([f"mean of {' + '.join(pair)}", "", *_figures(each_start), f"{whole:.4f}"])
    starts = [f"start {start}" for start in STARTS]
    print(f"GAP on {len(labels)} held-out videos, {labels.num_positives:,} true labels:\n")
    print_table(["", "reads", *starts, "mean of 3 crops"], rows, left=2)
    rgb, mean, lstm = (averaged[model.run] for model in MODELS)
    one_crop = singles["lstm_ln"][0]
    print(
        f"\naudio {mean - rgb:+.4f}, order of frames {lstm - mean:+.4f}, "
        f"three crops instead of one {lstm - one_crop:+.4f}, both models {whole - lstm:+.4f}"
    )


def _figures(values: list[float]) -> list[str]:
    return [f"{value:.4f}" for value in values]
