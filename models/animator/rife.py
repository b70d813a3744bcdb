"""RIFE 4.0: the flow from a moment between two pictures to both pictures (Huang et al. 2022, MIT).

Four blocks work from coarse to fine; each corrects the flow of the previous one. Flow is computed on small pictures and
applied to large ones.

Shapes: M moments, H, W picture, C colours, 4 flow (x, y to the first picture, x, y to the second, in pixels).
"""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor, nn

from models.animator.animator import Image
from models.device import device
from models.weights.packaged import packaged

_LONG_SIDE = 224  # of the small pictures
_STRIDE = 32  # divides height and width: the coarsest block works at an eighth of the size and divides that by four


class FlowFinder:
    """The network with its packaged weights, for pictures of any size.

    Raises:
        PackagedModelError: they are not installed.
    """

    def __init__(self) -> None:
        from safetensors.torch import load_file

        network = FlowNetwork()
        network.load_state_dict(load_file(packaged("rife") / "model.safetensors"))
        network.eval().requires_grad_(False)
        self.network = network.to(device()).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def flows(
        self, first_HWC: Image, second_HWC: Image, moments: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(flow_MHW4, share_MHW of the first picture) on small grids, at moments evenly spaced from 0 to 1.

        Flow is in pixels of the given pictures.
        """
        moment_M = torch.linspace(0, 1, moments, device=device())
        flow_M4HW, share_M1HW = self._seen(_small(first_HWC), _small(second_HWC), moment_M)
        flow_MHW4 = rearrange(flow_M4HW, "m c h w -> m h w c").cpu().contiguous().numpy()
        y, x = np.array(first_HWC.shape[:2]) / flow_MHW4.shape[1:3]
        return flow_MHW4 * np.array([x, y, x, y], np.float32), share_M1HW[:, 0].cpu().numpy()

    def disagreement(self, first_HWC: Image, second_HWC: Image) -> float:
        """Difference of the pictures when both are warped to the middle moment: 0 if they are equal, at most 4.

        It is the mean over the worst eighth of the picture's height or, if larger, four times the mean of the picture.
        """
        first_13HW, second_13HW = _small(first_HWC), _small(second_HWC)
        flow_14HW, _ = self._seen(first_13HW, second_13HW, first_13HW.new_tensor([0.5]))
        warped = [_warp(first_13HW, flow_14HW[:, :2]), _warp(second_13HW, flow_14HW[:, 2:])]
        apart_HW = (warped[0] - warped[1]).abs().mean(1)[0].cpu().numpy()
        eighth = apart_HW.shape[0] // 8
        return float(max(cv2.blur(apart_HW, (eighth, eighth)).max(), 4 * apart_HW.mean()))

    @torch.inference_mode()
    def _seen(self, first_13HW: Tensor, second_13HW: Tensor, moment_M: Tensor) -> tuple[Tensor, Tensor]:
        pair = (one_13HW.expand(len(moment_M), -1, -1, -1) for one_13HW in (first_13HW, second_13HW))
        flow_M4HW, share_M1HW = self.network(*pair, moment_M)
        return flow_M4HW, share_M1HW


class FlowNetwork(nn.Module):
    """(first_M3HW, second_M3HW in 0-1, moment_M in 0-1) -> (flow_M4HW, share_M1HW of the first picture in 0-1)."""

    def __init__(self) -> None:
        super().__init__()
        self.block0 = _Block(7, 192)
        self.block1 = _Block(12, 128)
        self.block2 = _Block(12, 96)
        self.block3 = _Block(12, 64)

    def forward(self, first_M3HW: Tensor, second_M3HW: Tensor, moment_M: Tensor) -> tuple[Tensor, Tensor]:
        moment_M1HW = moment_M[:, None, None, None].expand_as(first_M3HW[:, :1])
        flow_M4HW, share_M1HW = self.block0(torch.cat([first_M3HW, second_M3HW, moment_M1HW], 1), None, 8)
        for block, scale in ((self.block1, 4), (self.block2, 2), (self.block3, 1)):
            warped = [_warp(first_M3HW, flow_M4HW[:, :2]), _warp(second_M3HW, flow_M4HW[:, 2:])]
            change_M4HW, more_M1HW = block(torch.cat([*warped, moment_M1HW, share_M1HW], 1), flow_M4HW, scale)
            flow_M4HW, share_M1HW = flow_M4HW + change_M4HW, share_M1HW + more_M1HW
        return flow_M4HW, share_M1HW.sigmoid()


class _Block(nn.Module):
    """Corrects the flow at 1 / scale of the pictures' size."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.conv0 = nn.Sequential(_conv(inputs, channels // 2, 2), _conv(channels // 2, channels, 2))
        self.convblock = nn.Sequential(*(_conv(channels, channels) for _ in range(8)))
        self.lastconv = nn.ConvTranspose2d(channels, 5, 4, 2, 1)

    def forward(self, seen_MCHW: Tensor, flow_M4HW: Tensor | None, scale: int) -> tuple[Tensor, Tensor]:
        if flow_M4HW is not None:
            seen_MCHW = torch.cat([seen_MCHW, flow_M4HW / scale], 1)
        features = self.conv0(_resized(seen_MCHW, 1 / scale))
        made = _resized(self.lastconv(self.convblock(features) + features), 2 * scale)
        return made[:, :4] * (2 * scale), made[:, 4:]


def _warp(image_MCHW: Tensor, flow_M2HW: Tensor) -> Tensor:
    """The picture sampled at each pixel's position plus its flow; beyond the border, the border is repeated."""
    height, width = image_MCHW.shape[2:]
    y_H1 = torch.arange(height, device=image_MCHW.device)[:, None] + flow_M2HW[:, 1]
    x_1W = torch.arange(width, device=image_MCHW.device)[None] + flow_M2HW[:, 0]
    grid_MHW2 = torch.stack([2 * x_1W / (width - 1) - 1, 2 * y_H1 / (height - 1) - 1], -1)
    return F.grid_sample(image_MCHW, grid_MHW2, padding_mode="border", align_corners=True)


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.PReLU(outputs))


def _resized(image_MCHW: Tensor, factor: float) -> Tensor:
    return F.interpolate(image_MCHW, scale_factor=factor, mode="bilinear")


def _small(image_HWC: Image) -> Tensor:
    """The picture for the network, 1 x 3 x H x W in 0-1."""
    long = max(image_HWC.shape[:2])
    height, width = (max(1, round(side * _LONG_SIDE / long / _STRIDE)) * _STRIDE for side in image_HWC.shape[:2])
    small_HWC = cv2.resize(image_HWC, (width, height), interpolation=cv2.INTER_AREA)
    small_1CHW = rearrange(torch.from_numpy(small_HWC).to(device()).float() / 255, "h w c -> 1 c h w")
    return small_1CHW.contiguous(memory_format=torch.channels_last)
