"""The motion of a video's camera, estimated from points that are tracked from frame to frame by optical flow.

Shapes: P tracked points.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from storage.decoding.upright import upright
from storage.results.videos import video

Grey = NDArray[np.uint8]

_WIDTH, _HEIGHT = 160, 90
_EVERY = 0.1  # seconds between the frames that are compared
_FEWEST = 8  # tracked points: with fewer, as in a blank picture, no motion is estimated
_AGREEING = 0.5  # least share of the points that move alike; across a cut they don't


def camera_motion(path: Path) -> NDArray[np.float32]:
    """The camera's motion from the first to the last frame, [3]: to the right in picture widths, up in picture heights,
    and the logarithm of the zoom, above 0 where things become larger.

    Raises:
        ConfigError: naming a video that can't be read.
    """
    with video(path) as container:
        return motion_of_frames(_small(container.decode(video=0)))


def motion_of_frames(pictures: Iterable[Grey]) -> NDArray[np.float32]:
    """As `camera_motion`, of small grey pictures in order of time."""
    sums_3, before = np.zeros(3), None
    for picture in pictures:
        if before is not None:
            sums_3 += _step(before, picture)
        before = picture
    return sums_3.astype(np.float32)


def _small(frames: Iterable[object]) -> Iterator[Grey]:
    import av

    start, taken = None, 0
    for frame in frames:
        assert isinstance(frame, av.VideoFrame)
        time = frame.time or 0.0
        start = time if start is None else start
        if time - start >= taken * _EVERY:
            taken = int((time - start) / _EVERY) + 1
            yield upright(frame.reformat(_WIDTH, _HEIGHT, format="gray").to_ndarray(), frame)


def _step(before: Grey, after: Grey) -> NDArray[np.float64]:
    import cv2

    height, width = before.shape
    points_P = cv2.goodFeaturesToTrack(before, 200, 0.01, 5)
    if points_P is None:
        return np.zeros(3)
    there_P, found_P, _ = cv2.calcOpticalFlowPyrLK(before, after, points_P, None)  # type: ignore[call-overload]
    kept_P = found_P[:, 0] == 1
    if kept_P.sum() < _FEWEST:
        return np.zeros(3)
    moves_23, same_P = cv2.estimateAffinePartial2D(points_P[kept_P], there_P[kept_P])
    if moves_23 is None or same_P.sum() < max(_FEWEST, _AGREEING * kept_P.sum()):
        return np.zeros(3)
    centre_2 = np.array([width / 2, height / 2])
    right, down = moves_23[:, :2] @ centre_2 + moves_23[:, 2] - centre_2  # of what is seen: against the camera
    return np.array([-right / width, down / height, np.log(np.hypot(moves_23[0, 0], moves_23[1, 0]))])
