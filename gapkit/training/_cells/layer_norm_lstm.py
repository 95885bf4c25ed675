"""The layer-normalised LSTM of the paper's code.

Shape letters: B videos, T frames, P rows of frames, D inputs, H units.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gapkit.training._cells.checks import check_input, check_sizes
from gapkit.training._cells.fused_cell import can_fuse, run_fused_cell
from gapkit.training._cells.layer_norm_cell import run_cell
from gapkit.training._cells.steps import Steps, packed_steps, padded_steps


class LayerNormLSTM(nn.Module):
    """Stacked LSTM layers whose gates and state are normalised over the units.

    This is the variant of TensorFlow's LayerNormBasicLSTMCell, which the paper used: each gate's
    pre-activation, input and recurrent part summed, is normalised with its own gain and shift,
    which replace the bias; the forget bias of 1 is added after that; the new state is normalised,
    and the normalised state is both what goes through the output tanh and what is carried on. Ba
    et al. normalise the two parts apart, and carry the raw state. Gains start at 1, shifts at 0,
    input weights Glorot-uniform, recurrent weights orthogonal.

    Parameters
    ----------
    input_size : int
    hidden_size : int
    num_layers : int
    bidirectional : bool
        A second set of cells reads each video from its own last frame to its first.

    Raises
    ------
    UsageError
        A size is below 1.

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0 : (4H, D) and (4H, H)
        Gates in the order i f g o; `_l1` and so on, with `_reverse` for the backward direction.
    gain_l0, shift_l0 : (5, H)
        Of the four gates, the fifth row of the state.

    References
    ----------
    Ba, Kiros, Hinton, Layer Normalization, 2016.

    Examples
    --------
    >>> cell = LayerNormLSTM(8, 4, bidirectional=True)
    >>> outputs, last = cell(torch.randn(2, 5, 8), torch.tensor([5, 3]))
    >>> outputs.shape, last.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 8]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self._directions = ("", "_reverse") if bidirectional else ("",)
        for layer in range(num_layers):
            size = input_size if layer == 0 else hidden_size * len(self._directions)
            for direction in self._directions:
                self._add_cell(f"_l{layer}{direction}", size)

    def _add_cell(self, suffix: str, input_size: int) -> None:
        hidden = self.hidden_size
        weight_ih, weight_hh = torch.empty(4, hidden, input_size), torch.empty(4, hidden, hidden)
        for gate in range(4):
            nn.init.xavier_uniform_(weight_ih[gate])
            nn.init.orthogonal_(weight_hh[gate])
        for name, values in {
            "weight_ih": weight_ih.reshape(4 * hidden, input_size),
            "weight_hh": weight_hh.reshape(4 * hidden, hidden),
            "gain": torch.ones(5, hidden),
            "shift": torch.zeros(5, hidden),
        }.items():
            self.register_parameter(name + suffix, nn.Parameter(values))

    def forward(self, x_BTD: Tensor, num_frames: Tensor) -> tuple[Tensor, Tensor]:
        """Return the outputs of the top layer, all and last.

        Parameters
        ----------
        x_BTD : (B, T, input_size) float
        num_frames : (B,) int64
            Frames of each video that count, from 1 to T.

        Returns
        -------
        outputs : (B, T, H or 2H)
            Zero past num_frames.
        last : (B, H or 2H)
            The forward half at frame num_frames - 1, the backward half at frame 0.

        Raises
        ------
        UsageError
            Of other shapes; or on the CPU, a video has no frame or more than T.
        """
        check_input(x_BTD, num_frames, self.input_size)
        batch_size, max_frames = x_BTD.shape[:2]
        is_fused = can_fuse(num_frames, x_BTD, *self.parameters())
        make_steps = packed_steps if is_fused else padded_steps
        steps = make_steps(num_frames, max_frames)
        x_PD = steps.lay(x_BTD)
        for layer in range(self.num_layers):
            halves = [
                self._run_layer(x_PD, f"_l{layer}{direction}", steps, is_fused)
                for direction in self._directions
            ]
            x_PD = torch.cat(halves, dim=-1) if self.bidirectional else halves[0]  # (P, H or 2H)
        last = [halves[0][steps.last]]
        if self.bidirectional:
            last.append(halves[1][steps.first])
        return steps.stand(x_PD, batch_size, max_frames), torch.cat(last, dim=-1)

    def _run_layer(self, x_PD: Tensor, suffix: str, steps: Steps, is_fused: bool) -> Tensor:
        """Outputs (P, H) of one direction, each at its frame."""
        weight_ih, weight_hh, gain_5H, shift_5H = (
            getattr(self, name + suffix) for name in ("weight_ih", "weight_hh", "gain", "shift")
        )
        run = run_fused_cell if is_fused else run_cell
        reverse = suffix.endswith("_reverse")
        return run(x_PD, weight_ih, weight_hh, gain_5H, shift_5H, steps, reverse)
