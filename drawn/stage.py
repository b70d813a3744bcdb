"""The stage: draws people in front of a place at a moment, returns their boxes, and caches what it paints."""

from functools import lru_cache

import cv2
import numpy as np

from drawn import face
from drawn.body import FEET, STEPS, body
from drawn.camera import Backdrop, Camera
from drawn.cards import card
from drawn.features import Pose
from drawn.paint import Array, Sprite
from drawn.places import Layers, paint_place
from drawn.script import FRAMINGS, Role, Script, Shot
from drawn.truth import Appearance, Box
from drawn.weather import drift

UNIT = 0.40  # pixels of half a head in its sprite, a frame height; a close-up shows about 0.3

NECK = 0.20  # how far the head sits down into the collar, in head units


def posed(role: Role, time: float) -> tuple[Pose, float, int]:
    """What a person does at `time`: the face's pose, the head's tilt in radians, the step of the walk (-1 stands)."""
    p = role.phase
    yaw = role.yaw + 0.55 * np.sin(2 * np.pi * 0.23 * time + p) + 0.2 * np.sin(2 * np.pi * 0.61 * time + 2 * p)
    yaw = round(float(np.clip(yaw, -1, 1)) * 5) / 5
    beat = int(time * 8 + p * 10)
    mouth = (
        (0.0, 0.35, 0.75, 0.35, 0.0, 0.75, 0.0)[(beat * beat * 7 + beat * 3) % 7]
        if role.talks and np.sin(time * 0.9 + p) > -0.2
        else 0.0
    )
    eyes = 0.1 if (time + p) % 3.4 < 0.12 else 1.0
    tilt = 0.075 * np.sin(2 * np.pi * 0.31 * time + 1.7 * p)
    step = int(time * 9 + p * 3) % STEPS if role.walks else -1
    return Pose(yaw, eyes, float(np.sign(role.yaw)) * 0.35, mouth, role.smile), float(tilt), step


def placed(shot: Shot, role: Role, time: float, size: tuple[int, int]) -> tuple[float, float, float]:
    """A person's eyes in pixels (x, y) and the pixels of half a head."""
    u = (time - shot.start) / (shot.end - shot.start)
    sway = 0.10 * role.scale * np.sin(2 * np.pi * 0.27 * time + role.phase)
    bob = 0.05 * role.scale * np.sin(2 * np.pi * (2.25 if role.walks else 0.4) * time + role.phase)
    camera = Camera.at(shot, time)
    x, y = camera.project(role.x0 + (role.x1 - role.x0) * u + float(sway), role.y + float(bob), size)
    return x, y, role.scale * camera.zoom * size[1]


def seen(script: Script, time: float, size: tuple[int, int]) -> tuple[Appearance, ...]:
    """Who is in the frame at `time`, with their boxes."""
    shot = script.shot_at(time)
    out = []
    for role in shot.roles:
        x, y, unit = placed(shot, role, time, size)
        pose, tilt, _ = posed(role, time)
        look = script.people[role.who].look
        x0, y0, x1, y1 = face.BOX
        cx, cy = (x0 + x1) / 2 + 0.10 * pose.yaw, (y0 + y1) / 2 - 0.95
        fx = x + unit * float(cx * np.cos(tilt) - cy * np.sin(tilt))
        fy = y + unit * float(0.95 + cx * np.sin(tilt) + cy * np.cos(tilt))
        half = (unit * (x1 - x0) / 2, unit * (y1 - y0) / 2)
        front = (fx - half[0], fy - half[1], fx + half[0], fy + half[1])
        reach = 1.25 * look.build * unit
        whole = (x - reach, y - 1.25 * unit, x + reach, y + (FEET * look.tall - NECK) * unit)
        name = script.people[role.who].name
        out.append(Appearance(name, _share(whole, size), _share(front, size), round(2 * half[1], 2)))
    return tuple(out)


def _share(box: Box, size: tuple[int, int]) -> Box:
    w, h = size
    x0, y0, x1, y1 = (round(float(np.clip(v, 0, 1)), 5) for v in (box[0] / w, box[1] / h, box[2] / w, box[3] / h))
    return x0, y0, x1, y1


class Stage:
    """Draws any moment of one script at one size (width, height)."""

    def __init__(self, script: Script, size: tuple[int, int]) -> None:
        self.script, self.size = script, size
        self.layers = lru_cache(maxsize=4)(self._layers)
        self.backdrop = lru_cache(maxsize=12)(self._backdrop)
        self.head = lru_cache(maxsize=160)(self._head)
        self.back = lru_cache(maxsize=16)(self._back)
        self.body = lru_cache(maxsize=128)(self._body)
        w, h = size
        x, y = np.meshgrid(np.linspace(-1, 1, w), np.linspace(-1, 1, h))
        shade = np.clip(1.06 - 0.30 * (0.8 * x * x + 0.9 * y * y), 0.5, 1)
        self.vignette: Array = np.repeat(np.round(shade * 255).astype(np.uint8)[..., None], 3, 2)

    def frame(self, time: float, people: bool = True) -> Array:
        """The frame at `time` seconds, RGB uint8 [H, W, 3], with what moves in it or as the empty place."""
        shot = self.script.shot_at(time)
        w, h = self.size
        frame = np.empty((h, w, 3), np.uint8)
        camera = Camera.at(shot, time)
        focus = FRAMINGS[shot.size].focus
        backdrop = self.backdrop(shot.place, focus)
        backdrop.paint(frame, camera)
        for role in sorted(shot.roles if people else (), key=lambda r: r.y + r.scale):
            self._person(frame, shot, role, time)
        backdrop.paint(frame, camera, before=True)
        place = self.script.places[shot.place]
        if people:
            drift(frame, place, time, 1.6 if focus == "blurred" else 1.0)
        cv2.multiply(frame, self.vignette, dst=frame, scale=1 / 255)
        if shot.kind != "scene":
            card(
                frame,
                self.script.title if shot.kind == "title" else "The End",
                shot.kind,
                (time - shot.start) / (shot.end - shot.start),
            )
        return frame

    def forget(self) -> None:
        """Drops what it has painted. The caches and the stage refer to each other, so 30 MB a film would stay in memory
        until Python collects cycles."""
        for painted in (self.layers, self.backdrop, self.head, self.back, self.body):
            painted.cache_clear()

    def _person(self, frame: Array, shot: Shot, role: Role, time: float) -> None:
        x, y, unit = placed(shot, role, time, self.size)
        pose, tilt, step = posed(role, time)
        if role.walks:
            look = self.script.people[role.who].look
            _shadow(frame, x, y + (FEET * look.tall - NECK) * unit, unit)
        joint = (0.0, 0.95)
        jx, jy = x, y + joint[1] * unit
        back = self.back(role.who, shot.place)
        if back is not None:
            back.put(frame, unit, jx, jy, tilt * 0.7, joint)
        self.body(role.who, role.gesture, step, role.walks, shot.place).put(
            frame, unit, jx, jy - NECK * unit, tilt * -0.15, joint
        )
        self.head(role.who, pose, shot.place).put(frame, unit, jx, jy, tilt, joint)

    def _light(self, place: int) -> float:
        return 0.5 if self.script.places[place].mood.light > 0 else -0.5

    def _layers(self, place: int) -> Layers:
        return paint_place(self.script.places[place], self.size)

    def _backdrop(self, place: int, focus: str) -> Backdrop:
        return Backdrop.of(self.layers(place), focus)

    def _head(self, who: int, pose: Pose, place: int) -> Sprite:
        sprite = face.head(self.script.people[who].look, pose, UNIT * self.size[1], self._light(place))
        return sprite.graded(self.script.places[place].mood.grade)

    def _back(self, who: int, place: int) -> Sprite | None:
        sprite = face.back(self.script.people[who].look, UNIT * self.size[1], self._light(place))
        return sprite and sprite.graded(self.script.places[place].mood.grade)

    def _body(self, who: int, gesture: str, step: int, whole: bool, place: int) -> Sprite:
        unit = (0.13 if whole else 0.30) * self.size[1]
        sprite = body(self.script.people[who].look, gesture, step, unit, whole, self._light(place))
        return sprite.graded(self.script.places[place].mood.grade)


def _shadow(frame: Array, x: float, y: float, unit: float) -> None:
    """A soft shadow on the ground, darkest in the middle."""
    h, w = frame.shape[:2]
    x0, x1 = max(0, int(x - 2 * unit)), min(w, int(x + 2 * unit))
    y0, y1 = max(0, int(y - 0.5 * unit)), min(h, int(y + 0.5 * unit))
    if x1 <= x0 or y1 <= y0:
        return
    gx = (np.arange(x0, x1, dtype=np.float32) - x) / (1.5 * unit)
    gy = (np.arange(y0, y1, dtype=np.float32) - y) / (0.32 * unit)
    dark = 1 - 0.5 * np.exp(-2 * (gx[None] ** 2 + gy[:, None] ** 2))
    frame[y0:y1, x0:x1] = np.round(frame[y0:y1, x0:x1] * dark[..., None]).astype(np.uint8)
