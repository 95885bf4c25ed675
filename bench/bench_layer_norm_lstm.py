"""How long the layer-normalised cell takes, beside torch's LSTM without normalisation.

    python bench/bench_layer_norm_lstm.py [--batch 64] [--layers 2] [--units 1024] [--bidirectional]

Contenders take turns; each ratio is of the times of one round.
"""

import argparse
import statistics
import time
from functools import partial

import torch

import gapkit.training._cells.layer_norm_lstm as module
from gapkit.training import LayerNormLSTM


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--frames", type=int, default=45)
    parser.add_argument("--inputs", type=int, default=1152)
    parser.add_argument("--units", type=int, default=1024)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--bidirectional", action="store_true")
    parser.add_argument("--shortest", type=int, help="frames of the shortest video; none is all")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    x_BTD = torch.randn(arguments.batch, arguments.frames, arguments.inputs)
    shortest = arguments.shortest or arguments.frames
    num_frames = torch.randint(shortest, arguments.frames + 1, (arguments.batch,))
    shape = (arguments.inputs, arguments.units, arguments.layers)
    cell = LayerNormLSTM(*shape, bidirectional=arguments.bidirectional)
    plain = torch.nn.LSTM(*shape, bidirectional=arguments.bidirectional, batch_first=True)
    contenders = {
        "torch.nn.LSTM": partial(run_plain, plain, x_BTD),
        "gapkit": partial(run_cell, cell, x_BTD, num_frames, module.can_fuse),
        "gapkit, eager": partial(run_cell, cell, x_BTD, num_frames, lambda *tensors: False),
    }
    print("| pass | contender | s | times torch.nn.LSTM |")
    print("| --- | --- | --- | --- |")
    for name, work in (("forward and backward", train), ("forward", predict)):
        seconds = {contender: [] for contender in contenders}
        for turn in range(arguments.rounds + 1):
            for contender, run in contenders.items():
                began = time.perf_counter()
                work(run)
                if turn:  # the first is for the compiler
                    seconds[contender].append(time.perf_counter() - began)
        for contender, taken in seconds.items():
            ratios = [a / b for a, b in zip(taken, seconds["torch.nn.LSTM"], strict=True)]
            print(f"| {name} | {contender} | {spread(taken)} | {spread(ratios)} |", flush=True)


def run_plain(lstm, x_BTD):
    return lstm(x_BTD)[0].mean(), list(lstm.parameters())


def run_cell(cell, x_BTD, num_frames, can_fuse):
    module.can_fuse = can_fuse
    return cell(x_BTD, num_frames)[0].mean(), list(cell.parameters())


def train(run):
    loss, parameters = run()
    torch.autograd.grad(loss, parameters)


def predict(run):
    with torch.inference_mode():
        run()


def spread(values):
    return f"{statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


if __name__ == "__main__":
    main()
