"""Motion between the keyframes of a shot (RIFE), and parallax around the people of a single keyframe.

Every frame is both keyframes warped along the flow, seen by a slowly moving camera. If the keyframes differ too much,
because somebody leaves or the place changes, warping tears them. The two warps then disagree, and the clip fades from
one keyframe to the other instead.

Shapes: H, W picture, h, w small grid, M moments, C colours, 4 flow (x, y to the first keyframe, x, y to the second).
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import BaseModel, Field

from models.animator.animator import Clip, Image
from models.animator.lens import Array, Lens, Move, looked
from models.weights.packaged import MODELS, packaged

_WEIGHTS = ("rife", "selfie-segmentation")
_SEGMENTED = (256, 144)  # width and height of the picture for segmentation
_SOFT = 0.06  # of the picture's width: how far the shift of people extends into the background
_PARTS = 4  # of a clip, with linear flow in each; flow for every frame makes motion jerky without being more exact


class InterpolateConfig(BaseModel, frozen=True, extra="forbid"):
    """RIFE between keyframes of a shot, parallax around people in single ones."""

    kind: Literal["interpolate"] = "interpolate"
    zoom: float = Field(0.06, ge=0, le=1, description="largest zoom, as a share of the picture")
    parallax: float = Field(
        0.015, ge=0, le=0.2, description="shift of people against the background, as a share of the picture"
    )
    torn: float = Field(
        0.35, ge=0, description="disagreement of the two warped keyframes (0-1) above which a clip fades"
    )
    fade: float = Field(0.6, ge=0, description="seconds of such a fade")

    revision: ClassVar[str] = ", ".join(["1", *(MODELS[name].revision for name in _WEIGHTS)])
    licence: ClassVar[str] = ", ".join(f"{name} {MODELS[name].licence}" for name in _WEIGHTS)
    packages: ClassVar[list[str]] = [MODELS[name].package for name in _WEIGHTS]


class InterpolateAnimator:
    """The animator of `InterpolateConfig`.

    Raises:
        PackagedModelError: a model's package is not installed.
    """

    name = "interpolate"

    def __init__(self, config: InterpolateConfig) -> None:
        from models.animator.rife import FlowFinder

        self.config = config
        self.revision, self.licence = config.revision, config.licence
        self.motion, self.people = FlowFinder(), PersonFinder()

    def animate(self, clip: Clip) -> Iterator[Image]:
        """See `Animator.animate`."""
        if clip.next is None:
            return self._around_people(clip)
        if self.apart(clip.keyframe_HWC, clip.next):
            return self._faded(clip, clip.next)
        moments = [i / clip.count for i in range(clip.count)]
        return self.between(clip.keyframe_HWC, clip.next, moments, Move(clip))

    def apart(self, first_HWC: Image, second_HWC: Image) -> bool:
        """Whether the two differ so much that warping would tear them."""
        return self.motion.disagreement(first_HWC, second_HWC) > self.config.torn

    def between(
        self, first_HWC: Image, second_HWC: Image, moments: Sequence[float], move: Move | None = None
    ) -> Iterator[Image]:
        """Frames at moments in 0-1 between two pictures, seen by a moving or a still camera."""
        import cv2

        flow_Mhw4, share_Mhw = self.motion.flows(first_HWC, second_HWC, _PARTS + 1)
        flow_Mhw4[0, :, :, :2] = flow_Mhw4[-1, :, :, 2:] = 0  # a clip begins and ends with its unchanged keyframes
        share_Mhw[0], share_Mhw[-1] = 1, 0
        height, width = picture = first_HWC.shape[:2]
        lens, small_lens = (_flat_lens(size, self.config, moves=bool(move)) for size in (picture, share_Mhw.shape[1:]))
        for t in moments:
            pose = move.pose(t) if move else np.zeros(5, np.float32)
            x_HW, y_HW = lens.look(pose)
            flow_HW4, share_HW = (
                cv2.resize(small_lens.through(_between(kept_M, t), pose), (width, height))
                for kept_M in (flow_Mhw4, share_Mhw)
            )
            warped = [
                looked(picture_HWC, x_HW + flow_HW4[:, :, x], y_HW + flow_HW4[:, :, x + 1])
                for picture_HWC, x in ((first_HWC, 0), (second_HWC, 2))
            ]
            frame: Image = cv2.blendLinear(warped[0], warped[1], share_HW, 1 - share_HW)
            yield frame

    def _faded(self, clip: Clip, next_HWC: Image) -> Iterator[Image]:
        """A fade in the middle of the clip."""
        import cv2

        first_HWC, move, length = clip.keyframe_HWC, Move(clip), min(1, self.config.fade / clip.seconds)
        lens = _flat_lens(first_HWC.shape[:2], self.config)
        for i in range(clip.count):
            t = i / clip.count
            u = float(np.clip((t - 0.5) / length + 0.5, 0, 1)) if length else float(t >= 0.5)
            share = u * u * (3 - 2 * u)
            yield lens.through(cv2.addWeighted(first_HWC, 1 - share, next_HWC, share, 0), move.pose(t))

    def _around_people(self, clip: Clip) -> Iterator[Image]:
        """Shifts people against the background, starting from 0 after another clip, which ends without a shift."""
        move = Move(clip)
        near_HW = self.people.share(clip.keyframe_HWC) - np.float32(0.5)
        lens = Lens(near_HW, self.config.zoom, self.config.parallax)
        for i in range(clip.count):
            t = i / clip.count
            pose = move.pose(t)
            if clip.previous is not None:
                pose[3:] *= t
            yield lens.through(clip.keyframe_HWC, pose)


class PersonFinder:
    """MediaPipe's selfie segmentation for landscape pictures, run by OpenCV in 7 ms; loaded once.

    It works on close and medium shots, also drawn ones; in wide shots the masks of people are soft.

    Raises:
        PackagedModelError: its package is not installed.
    """

    def __init__(self) -> None:
        import cv2

        (file,) = MODELS["selfie-segmentation"].files
        self.network = cv2.dnn.readNetFromTFLite(str(packaged("selfie-segmentation") / file))

    def share(self, image_HWC: Image) -> Array:
        """How much each pixel belongs to a person, H x W in 0-1, soft around the person but not inside."""
        import cv2

        self.network.setInput(cv2.dnn.blobFromImage(image_HWC, 1 / 255, _SEGMENTED))
        found_hw = self.network.forward().reshape(_SEGMENTED[1], _SEGMENTED[0])
        reach = round(_SOFT * _SEGMENTED[0])
        grown_hw = cv2.dilate(found_hw, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)))
        soft_hw = cv2.GaussianBlur(grown_hw, (0, 0), reach / 2)
        share_HW: Array = cv2.resize(soft_hw, (image_HWC.shape[1], image_HWC.shape[0]))
        return np.clip(share_HW, 0, 1)


def _flat_lens(size: tuple[int, ...], config: InterpolateConfig, moves: bool = True) -> Lens:
    """A lens without near objects; it moves as the config says, or shows the unchanged picture."""
    return Lens(np.zeros(size, np.float32), config.zoom * moves, config.parallax * moves)


def _between(kept_M: Array, t: float) -> Array:
    """Interpolates values that are known at _PARTS + 1 moments, at t in 0-1."""
    part = min(int(t * _PARTS), _PARTS - 1)
    u = np.float32(t * _PARTS - part)
    between: Array = kept_M[part] * (1 - u) + kept_M[part + 1] * u
    return between
