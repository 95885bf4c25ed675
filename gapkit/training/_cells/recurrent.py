"""torch's own recurrent layers, for videos of unequal length."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from gapkit.training._cells.checks import check_input, check_sizes
from gapkit.training._cells.layers import run_layers


class _Recurrent(nn.Module):
    """Stacked layers of a torch cell; one module a layer and way, as each video has its own end."""

    _cell: type[nn.LSTM] | type[nn.GRU]

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
        self.hidden_size, self.num_layers = hidden_size, num_layers
        self.bidirectional = bidirectional
        num_ways = 2 if bidirectional else 1
        self.cells = nn.ModuleList()
        for layer in range(num_layers):
            size = input_size if layer == 0 else hidden_size * num_ways
            self.cells.extend(
                self._cell(size, hidden_size, batch_first=True) for _ in range(num_ways)
            )
        for cell in self.cells:
            for name, values in cell.named_parameters():
                for gate in values.data.chunk(len(values) // hidden_size):
                    if "weight_ih" in name:
                        nn.init.xavier_uniform_(gate)
                    elif "weight_hh" in name:
                        nn.init.orthogonal_(gate)
                    else:
                        nn.init.zeros_(gate)

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
        num_ways, cells = 2 if self.bidirectional else 1, list(self.cells)
        return run_layers(
            x_BTD,
            num_frames,
            num_layers=self.num_layers,
            bidirectional=self.bidirectional,
            run_cell=lambda x, layer, way: cells[layer * num_ways + way](x)[0],
        )


class LSTM(_Recurrent):
    """Stacked plain LSTM layers: no peepholes, no projection, forget bias 1 at the start.

    Called as `LayerNormLSTM` is. Input weights start Glorot-uniform, recurrent weights orthogonal.

    Parameters
    ----------
    input_size : int
    hidden_size : int
    num_layers : int
    bidirectional : bool
        A second set of cells reads each video from its own last frame to its first.
    """

    _cell = nn.LSTM

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers, bidirectional)
        cells: list[Any] = list(self.cells)
        for cell in cells:
            cell.bias_ih_l0.data[hidden_size : 2 * hidden_size] = 1


class GRU(_Recurrent):
    """Stacked GRU layers (Cho et al. 2014); parameters and call as those of `LSTM`."""

    _cell = nn.GRU
