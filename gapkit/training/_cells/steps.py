"""The frames of a batch as rows, in the order in which a recurrent layer reads them.

Shape letters: B videos, T frames, P rows, D values of a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor


@dataclass(frozen=True)
class Steps:
    """Which frame each row is: step after step, a video at the same place in each of its steps."""

    sizes: list[int]
    """Rows of each step, which never rise"""
    frame: Tensor
    """(P,) Which frame a row is, as b * T + t"""
    mirrored: Tensor
    """(P,) The row to put in a row's place to read each video from its own last frame on"""
    is_frame: Tensor | None
    """(P,) False for padding; none if there is none"""
    first: Tensor
    """(B,) The row of each video's first frame"""
    last: Tensor
    """(B,) The row of each video's last frame"""

    @property
    def begins(self) -> list[int]:
        """The first row of each step."""
        return [0, *accumulate(self.sizes[:-1])]

    def lay(self, x_BTD: Tensor) -> Tensor:
        """Return the rows of frames, (P, D); padding is 0."""
        x_PD = x_BTD.flatten(0, 1)[self.frame]
        return x_PD if self.is_frame is None else torch.where(self.is_frame[:, None], x_PD, 0)

    def mirror(self, x_PD: Tensor, reverse: bool) -> Tensor:
        """Return the rows as a direction reads them; from there, as they were."""
        return x_PD[self.mirrored] if reverse else x_PD

    def stand(self, x_PD: Tensor, batch_size: int, num_frames: int) -> Tensor:
        """Return the frames of rows, (B, T, D); padding is 0."""
        if self.is_frame is not None:
            x_PD = torch.where(self.is_frame[:, None], x_PD, 0)
        x_ND = x_PD.new_zeros(batch_size * num_frames, x_PD.shape[-1])
        return x_ND.index_copy(0, self.frame, x_PD).view(batch_size, num_frames, x_PD.shape[-1])


def padded_steps(num_frames_B: Tensor, max_frames: int) -> Steps:
    """Every frame of the batch, padding included: shapes that no value decides."""
    batch_size = num_frames_B.shape[0]
    time_T1 = torch.arange(max_frames, device=num_frames_B.device)[:, None]
    video_B = torch.arange(batch_size, device=num_frames_B.device)
    is_frame_TB = time_T1 < num_frames_B
    # Padding stays where it is.
    mirror_TB = torch.where(is_frame_TB, num_frames_B - 1 - time_T1, time_T1) * batch_size + video_B
    return Steps(
        sizes=[batch_size] * max_frames,
        frame=(video_B * max_frames + time_T1).flatten(),
        mirrored=mirror_TB.flatten(),
        is_frame=is_frame_TB.flatten(),
        first=video_B,
        last=(num_frames_B - 1) * batch_size + video_B,
    )


def packed_steps(num_frames_B: Tensor, max_frames: int) -> Steps:
    """The frames that count alone: the longest videos first, and fewer of them step by step."""
    length_B, order_B = num_frames_B.sort(descending=True, stable=True)
    is_frame_TB = torch.arange(int(length_B[0]))[:, None] < length_B
    size_T = is_frame_TB.sum(dim=1)
    begin_T = size_T.cumsum(0) - size_T
    time_P, place_P = is_frame_TB.nonzero(as_tuple=True)
    place_B = order_B.argsort()
    return Steps(
        sizes=size_T.tolist(),
        frame=order_B[place_P] * max_frames + time_P,
        mirrored=begin_T[length_B[place_P] - 1 - time_P] + place_P,
        is_frame=None,
        first=place_B,
        last=begin_T[num_frames_B - 1] + place_B,
    )
