"""The layer-normalised LSTM of the paper's code.

Shape letters: B videos, T frames, D inputs, H units.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gapkit.training._layers import run_layers

_EPSILON = 1e-5


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
        """
        return run_layers(
            x_BTD,
            num_frames,
            num_layers=self.num_layers,
            bidirectional=self.bidirectional,
            run_cell=lambda x, layer, way: self._run_cell(x, f"_l{layer}{self._directions[way]}"),
        )

    def _run_cell(self, x_BTD: Tensor, suffix: str) -> Tensor:
        """Outputs (B, T, H) of one cell over all frames, padding included."""
        weight_ih, weight_hh, gain_5H, shift_5H = (
            getattr(self, name + suffix) for name in ("weight_ih", "weight_hh", "gain", "shift")
        )
        batch_size, num_steps, _ = x_BTD.shape
        hidden = self.hidden_size
        input_BT4H = F.linear(x_BTD, weight_ih).view(batch_size, num_steps, 4, hidden)
        h_BH = c_BH = x_BTD.new_zeros(batch_size, hidden)
        outputs = []
        for input_B4H in input_BT4H.unbind(dim=1):
            gates_B4H = input_B4H + F.linear(h_BH, weight_hh).view(batch_size, 4, hidden)
            gates_B4H = _normalize(gates_B4H) * gain_5H[:4] + shift_5H[:4]
            i_BH, f_BH, g_BH, o_BH = gates_B4H.unbind(dim=1)
            c_BH = torch.sigmoid(f_BH + 1) * c_BH + torch.sigmoid(i_BH) * torch.tanh(g_BH)
            c_BH = _normalize(c_BH) * gain_5H[4] + shift_5H[4]
            h_BH = torch.sigmoid(o_BH) * torch.tanh(c_BH)
            outputs.append(h_BH)
        return torch.stack(outputs, dim=1)


def _normalize(x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], eps=_EPSILON)
