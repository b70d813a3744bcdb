"""Drawings that drawings.json holds: clothes, ears and things, each a list of shapes painted one over another.

A shape's colour is red, green and blue, or the name of a colour that whoever draws it chooses, and a factor.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from drawn.paint import Array, Canvas, Colour, Points, curve, ellipse, scaled, stroke

_DATA = files("drawn").joinpath("drawings.json")


@dataclass(frozen=True)
class Shape:
    """A shape, and how a canvas paints it.

    `at`: the corners of a polygon or a smooth curve, the points of a line or of a smooth one (bow), which have a width
    or one a point; or an ellipse's middle and radii. `soft`: the roundness of a puff. `mirror`: it is there twice.
    """

    how: Literal["fill", "tint", "puff"]
    kind: Literal["polygon", "curve", "line", "bow", "ellipse"]
    at: Sequence[tuple[float, float]]
    colour: Colour | tuple[str, float]
    alpha: float = 1.0
    soft: float = 0.0
    width: float | Sequence[float] = 0.0
    mirror: bool = False

    def points(self, x: float, y: float, side: int) -> Points:
        """Its polygon, moved by (x, y) and, for side -1, mirrored."""
        points = [(x + side * px, y + py) for px, py in self.at]
        match self.kind:
            case "polygon":
                return points
            case "curve":
                return curve(points)
            case "line":
                return stroke(points, self.width)
            case "bow":
                return stroke(curve(points, False), self.width)
            case "ellipse":
                return ellipse(*points[0], *self.at[1])


@cache
def _drawings() -> dict[str, list[Shape]]:
    return {name: [Shape(**one) for one in shapes] for name, shapes in json.loads(_DATA.read_text()).items()}


def draw(
    canvas: Canvas,
    picture: Array,
    name: str,
    colours: Mapping[str, Colour],
    place: tuple[float, float] = (0.0, 0.0),
    side: int = 1,
    light: float = -0.5,
) -> None:
    """Paint a drawing of drawings.json over the picture at (x, y), in place; side -1 mirrors it."""
    for shape in _drawings()[name]:
        match shape.colour:
            case [str(chosen), factor]:
                colour = scaled(colours[chosen], factor)
            case [red, green, blue]:
                colour = (red, green, blue)
        for at in (-1, 1) if shape.mirror else (side,):
            points = shape.points(*place, at)
            if shape.how == "puff":
                canvas.puff(picture, points, colour, shape.soft, light)
            else:
                paint = canvas.fill if shape.how == "fill" else canvas.tint
                paint(picture, points, colour, shape.alpha, shape.soft)
