"""Face detection with MTCNN: proposals over a pyramid of scales, then two networks that classify and refine.

The networks are facenet_pytorch's. Its own detection code is not used: it rescales the full picture for each level of
the pyramid, which takes 1.7 times as long, and loads its pickled weights without checking their hashes.
Shapes: N candidates; boxes are x0, y0, x1, y1 in pixels of the given picture until the very end.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from torchvision.ops import box_area, nms

from models.face.face import Face, Image, MtcnnFinderConfig
from models.weights.packaged import MODELS, packaged

PYRAMID = 0.709  # each level has half the area of the previous one
FIELD = 12  # receptive field of the proposal network in pixels
STRIDE = 2


class FaceFinder:
    """MTCNN as a function from pictures to faces without embeddings.

    It detects faces of at least `config.smallest` pixels in a picture of 896x512. The first level of the pyramid is
    FIELD / smallest of the picture's size, which makes it fast.
    """

    def __init__(self, config: MtcnnFinderConfig) -> None:
        from facenet_pytorch import ONet, PNet, RNet
        from safetensors.torch import load_file

        self.config = config
        self.revision = MODELS["mtcnn"].revision
        self.licence = MODELS["mtcnn"].licence
        parts = {"pnet": PNet(pretrained=False), "rnet": RNet(pretrained=False), "onet": ONet(pretrained=False)}
        networks = nn.ModuleDict(parts).eval()
        networks.load_state_dict(load_file(packaged("mtcnn") / "model.safetensors"))
        self.networks = networks.to(memory_format=torch.channels_last)  # makes pooling much faster

    def find(self, images: Sequence[Image]) -> list[list[Face]]:
        """All faces of each picture, largest first."""
        return [self._find(image) for image in images]

    @torch.inference_mode()
    def _find(self, image: Image) -> list[Face]:
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"an RGB picture is uint8 [height, width, 3], got {image.dtype} {list(image.shape)}")
        pixels_1CHW = rearrange(torch.from_numpy(image.astype(np.float32)), "h w c -> 1 c h w")
        pixels_1CHW = (pixels_1CHW - 127.5) / 128
        boxes_N4 = self._propose(pixels_1CHW)
        boxes_N4 = self._refine(pixels_1CHW, boxes_N4)
        boxes_N4, scores_N, landmarks_N52 = self._output(pixels_1CHW, boxes_N4)
        height, width = image.shape[:2]
        scale_4 = torch.tensor([width, height, width, height])
        boxes_N4 = (boxes_N4 / scale_4).clamp(0, 1)
        landmarks_N52 = landmarks_N52 / scale_4[:2]
        order = torch.argsort(box_area(boxes_N4), descending=True).tolist()
        return [
            Face(
                box=tuple(boxes_N4[i].tolist()),
                score=float(scores_N[i]),
                landmarks_52=landmarks_N52[i].numpy().astype(np.float32),
            )
            for i in order
        ]

    def _propose(self, pixels_1CHW: Tensor) -> Tensor:
        height, width = pixels_1CHW.shape[2:]
        found_N4, scores_N = [torch.zeros(0, 4)], [torch.zeros(0)]
        levels = [pixels_1CHW, pixels_1CHW]
        scale = FIELD / self.config.smallest
        while min(height, width) * scale >= FIELD:
            size = (int(height * scale + 1), int(width * scale + 1))
            levels.append(F.interpolate(levels[-2], size=size, mode="area"))  # two levels up: half the size, so cheap
            box_14HW, score_12HW = self.networks["pnet"](levels[-1].contiguous(memory_format=torch.channels_last))
            score_HW = score_12HW[0, 1]
            where_N2 = (score_HW >= self.config.thresholds[0]).nonzero()
            score_N = score_HW[where_N2[:, 0], where_N2[:, 1]]
            corner_N2 = where_N2.flip(1) * STRIDE
            cells_N4 = torch.cat([(corner_N2 + 1) / scale, (corner_N2 + FIELD) / scale], dim=1)
            keep = nms(cells_N4, score_N, 0.5)
            correction_N4 = box_14HW[0][:, where_N2[:, 0], where_N2[:, 1]].T
            found_N4.append(_corrected(cells_N4[keep], correction_N4[keep]))
            scores_N.append(score_N[keep])
            scale *= PYRAMID
        boxes_N4 = torch.cat(found_N4)
        return boxes_N4[nms(boxes_N4, torch.cat(scores_N), 0.7)]

    def _refine(self, pixels_1CHW: Tensor, boxes_N4: Tensor) -> Tensor:
        boxes_N4, crops_NCHW = _crops(pixels_1CHW, boxes_N4, 24)
        if len(boxes_N4) == 0:
            return boxes_N4
        correction_N4, score_N2 = self.networks["rnet"](crops_NCHW.contiguous(memory_format=torch.channels_last))
        score_N = score_N2[:, 1]
        good = score_N > self.config.thresholds[1]
        boxes_N4, score_N, correction_N4 = boxes_N4[good], score_N[good], correction_N4[good]
        keep = nms(boxes_N4, score_N, 0.7)
        return _corrected(boxes_N4[keep], correction_N4[keep])

    def _output(self, pixels_1CHW: Tensor, boxes_N4: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        boxes_N4, crops_NCHW = _crops(pixels_1CHW, boxes_N4, 48)
        if len(boxes_N4) == 0:
            return boxes_N4, torch.zeros(0), torch.zeros(0, 5, 2)
        correction_N4, landmarks_ND, score_N2 = self.networks["onet"](
            crops_NCHW.contiguous(memory_format=torch.channels_last)
        )
        landmarks_N52 = rearrange(landmarks_ND, "n (xy five) -> n five xy", xy=2)
        score_N = score_N2[:, 1]
        good = score_N > self.config.thresholds[2]
        boxes_N4, score_N, correction_N4 = boxes_N4[good], score_N[good], correction_N4[good]
        size_N2 = boxes_N4[:, 2:] - boxes_N4[:, :2]
        landmarks_N52 = boxes_N4[:, None, :2] + landmarks_N52[good] * size_N2[:, None]
        boxes_N4 = _corrected(boxes_N4, correction_N4)
        keep = _without_nested(boxes_N4, score_N)
        return boxes_N4[keep], score_N[keep], landmarks_N52[keep]


def _corrected(boxes_N4: Tensor, correction_N4: Tensor) -> Tensor:
    size_N2 = boxes_N4[:, 2:] - boxes_N4[:, :2]
    return boxes_N4 + correction_N4 * size_N2.repeat(1, 2)


def _crops(pixels_1CHW: Tensor, boxes_N4: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Squares around the boxes, clipped at the picture's border, resized to `size`; empty boxes are dropped."""
    height, width = pixels_1CHW.shape[2:]
    centre_N2 = (boxes_N4[:, :2] + boxes_N4[:, 2:]) / 2
    half_N1 = (boxes_N4[:, 2:] - boxes_N4[:, :2]).amax(1, keepdim=True) / 2
    squares_N4 = torch.cat([centre_N2 - half_N1, centre_N2 + half_N1], dim=1)
    kept, crops = [], []
    for i, (x0, y0, x1, y1) in enumerate(squares_N4.int().tolist()):
        crop_1CHW = pixels_1CHW[:, :, max(y0 - 1, 0) : min(y1, height), max(x0 - 1, 0) : min(x1, width)]
        if crop_1CHW.numel() > 0:
            kept.append(i)
            crops.append(F.interpolate(crop_1CHW, size=(size, size), mode="area"))
    return squares_N4[kept], torch.cat(crops) if crops else torch.zeros(0, 3, size, size)


def _without_nested(boxes_N4: Tensor, scores_N: Tensor) -> list[int]:
    """Indices without boxes that are mostly (0.7) inside a better box or contain one."""
    kept: list[int] = []
    for i in torch.argsort(scores_N, descending=True, stable=True).tolist():
        low_N2 = torch.maximum(boxes_N4[kept, :2], boxes_N4[i, :2])
        high_N2 = torch.minimum(boxes_N4[kept, 2:], boxes_N4[i, 2:])
        shared_N = (high_N2 - low_N2).clamp(min=0).prod(1)
        smaller_N = torch.minimum(box_area(boxes_N4[kept]), box_area(boxes_N4[i : i + 1]))
        if not bool((shared_N > 0.7 * smaller_N).any()):
            kept.append(i)
    return kept
