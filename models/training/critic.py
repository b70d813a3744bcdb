"""An adversarial loss for the decoder: a critic looks at faces and at other windows of pictures.

Where tokens and scripts leave details open, a loss on pixels makes a picture soft. The critic learns to tell windows of
originals from windows of drawn pictures, and the decoder learns to draw windows that it takes for originals. At a face
the critic also reads whose it should be (a projection discriminator, Miyato & Koyama, 2018).

Shapes: B keyframes, N = WINDOWS * B windows of SIDE x SIDE pixels, F faces of a keyframe with embeddings of width G.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

FILE = "critic.safetensors"  # in the folder of the autoencoder that it was trained with
SIDE = 48
WINDOWS = 3  # of a keyframe; the first shows a face, if there is one
_MARGIN = 1.5  # side of a window, in sides of its face
_FEATURES = 5.0  # weight of the difference in features against the scores' loss
_SLOPE = 0.1  # weight of the penalty on slopes
_RATE = 5.0  # learning rate of the critic, in learning rates of the decoder


class Windows(NamedTuple):
    """Where to look: centre x and y, half width and half height in 0-1; and whose face should be there.

    An embedding of zeros stands for no particular person.
    """

    boxes_N4: Tensor
    faces_NG: Tensor


class Critic(nn.Module):
    """Scores windows: high ones for originals that show the person whose embedding is given."""

    def __init__(self, face_width: int, channels: Sequence[int] = (64, 128, 192)) -> None:
        super().__init__()
        before = (3, *channels)
        self.levels = nn.ModuleList(nn.Conv2d(few, many, 4, 2, 1) for few, many in zip(before, channels, strict=False))
        self.score = nn.Conv2d(channels[-1], 1, 3, padding=1)
        self.whose = nn.Linear(face_width, channels[-1], bias=False)
        with torch.no_grad():  # weights are multiplied by _RATE when they are used, so that each step moves them more
            for parameter in self.parameters():
                parameter.div_(_RATE)

    def forward(self, windows_N3YX: Tensor, faces_NG: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Scores_N, and the features of each level."""
        hidden_NCYX, features = windows_N3YX * 2 - 1, list[Tensor]()
        for level in self.levels:
            hidden_NCYX = F.leaky_relu(_RATE * level(hidden_NCYX), 0.2)
            features.append(hidden_NCYX)
        person_N = (hidden_NCYX.mean((2, 3)) * _RATE * self.whose(faces_NG)).sum(1)
        return _RATE * self.score(hidden_NCYX).mean((1, 2, 3)) + person_N, features

    def save(self, folder: Path) -> None:
        save_file(self.state_dict(), folder / FILE)

    def load(self, folder: Path) -> None:
        """Goes on from the critic of this folder, if it has one."""
        if (folder / FILE).is_file():
            self.load_state_dict(load_file(folder / FILE))


def adversarial_loss(
    critic: Critic, originals_N3YX: Tensor, drawn_N3YX: Tensor, faces_NG: Tensor, weight: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """The critic's loss; its gradient also has `weight` times the decoder's loss for what is drawn, and only there.

    The decoder's loss has two parts: how little the critic takes a drawn window for an original, and the difference of
    the critic's features. Both are added for `drawn_N3YX` and subtracted for a copy without a gradient, which leaves
    nothing of them in the critic's own gradient. For the critic, an original with the face of somebody else is as wrong
    as a drawn window, and slopes at originals are penalised (R1, Mescheder et al., 2018).
    """
    originals_N3YX = originals_N3YX.detach().requires_grad_()
    real_N, wanted = critic(originals_N3YX, faces_NG)
    still_N, seen = critic(drawn_N3YX.detach(), faces_NG)
    drawn_N, moved = critic(drawn_N3YX, faces_NG)
    others_NG = faces_NG.roll(WINDOWS, 0)
    wrong_N, _ = critic(originals_N3YX, others_NG)
    named_N = faces_NG.any(1) & others_NG.any(1)
    (slopes_N3YX,) = torch.autograd.grad(real_N[::WINDOWS].sum(), originals_N3YX, create_graph=True)
    slope = slopes_N3YX[::WINDOWS].square().sum((1, 2, 3)).mean()
    loss = F.softplus(-real_N).mean() + F.softplus(still_N).mean() + (F.softplus(wrong_N) * named_N).mean()
    unconvinced = _unconvinced(drawn_N, moved, wanted) - _unconvinced(still_N, seen, wanted)
    terms = {"critic": loss.detach(), "unconvinced": F.softplus(-still_N).mean().detach()}
    return loss + _SLOPE / 2 * slope + weight * unconvinced, terms


def _unconvinced(scores_N: Tensor, features: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    apart = [(mine - theirs.detach()).abs().mean() for mine, theirs in zip(features, wanted, strict=True)]
    return F.softplus(-scores_N).mean() + _FEATURES * torch.stack(apart).sum()


def windows_of(
    boxes: Sequence[NDArray[np.floating]],
    faces: Sequence[NDArray[np.floating]],
    size: tuple[int, int],
    random: torch.Generator,
) -> Windows:
    """Random windows of keyframes of `size` (height, width): one at a face, the others anywhere.

    Args:
        boxes: x0, y0, x1, y1 in 0-1 of each keyframe's faces, [F, 4].
        faces: their embeddings, [F, G].
    """
    pixels_2 = torch.tensor([size[1], size[0]])
    half_2 = SIDE / 2 / pixels_2
    centres_N2 = half_2 + torch.rand(len(boxes) * WINDOWS, 2, generator=random) * (1 - 2 * half_2)
    boxes_N4 = torch.cat([centres_N2, half_2.expand_as(centres_N2)], dim=1)
    faces_NG = torch.zeros(len(boxes_N4), faces[0].shape[-1])
    for place, (boxes_F4, faces_FG) in enumerate(zip(boxes, faces, strict=True)):
        count = min(len(boxes_F4), len(faces_FG))
        chosen = int(torch.randint(max(count, 1), (), generator=random))
        if count and (boxes_F4[chosen] >= 0).all() and (boxes_F4[chosen] <= 1).all():
            corners_22 = torch.from_numpy(boxes_F4[chosen]).float().reshape(2, 2)
            side = _MARGIN / 2 * float(((corners_22[1] - corners_22[0]) * pixels_2).max())
            boxes_N4[place * WINDOWS] = torch.cat([corners_22.mean(0), side / pixels_2])
            faces_NG[place * WINDOWS] = torch.from_numpy(faces_FG[chosen])
    return Windows(boxes_N4, faces_NG)


def cut(pictures_B3YX: Tensor, boxes_N4: Tensor) -> Tensor:
    """The windows of pictures, windows_N3YX, scaled to SIDE and mirrored at the edges."""
    transform_N23 = torch.zeros(len(boxes_N4), 2, 3, device=boxes_N4.device)
    transform_N23[:, 0, 0], transform_N23[:, 1, 1] = boxes_N4[:, 2] * 2, boxes_N4[:, 3] * 2
    transform_N23[:, :, 2] = boxes_N4[:, :2] * 2 - 1
    grid_NYX2 = F.affine_grid(transform_N23, [len(boxes_N4), 3, SIDE, SIDE], align_corners=False)
    pictures_N3YX = pictures_B3YX.float().repeat_interleave(WINDOWS, 0)
    return F.grid_sample(pictures_N3YX, grid_NYX2, padding_mode="reflection", align_corners=False)
