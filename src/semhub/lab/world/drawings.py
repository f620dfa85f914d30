"""How the things of the micro-world look: one small drawing per noun, in the unit square, in shades of one colour."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from PIL import ImageDraw

Colour = tuple[int, int, int]
Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Pen:
    """Draws on a picture and, in white, on the mask of what was drawn.

    left, top, size: where the unit square lies on both, in pixels. body, dark, light: the shades.
    """

    picture: ImageDraw.ImageDraw
    mask: ImageDraw.ImageDraw
    left: float
    top: float
    size: float
    body: Colour
    dark: Colour
    light: Colour

    def _place(self, points: Points) -> list[tuple[float, float]]:
        return [(self.left + x * self.size, self.top + y * self.size) for x, y in points]

    def polygon(self, points: Points, fill: Colour) -> None:
        placed = self._place(points)
        self.picture.polygon(placed, fill=fill)
        self.mask.polygon(placed, fill=255)
        self.line((*points, points[0]), 0.035)

    def rectangle(self, box: tuple[float, float, float, float], fill: Colour) -> None:
        left, top, right, bottom = box
        self.polygon(((left, top), (right, top), (right, bottom), (left, bottom)), fill)

    def ellipse(self, box: tuple[float, float, float, float], fill: Colour, rim: float = 0.035) -> None:
        (left, top), (right, bottom) = self._place(((box[0], box[1]), (box[2], box[3])))
        width = max(1, round(rim * self.size))
        self.picture.ellipse((left, top, right, bottom), fill=fill, outline=self.dark, width=width)
        self.mask.ellipse((left, top, right, bottom), fill=255)

    def line(self, points: Points, width: float, fill: Colour | None = None) -> None:
        placed, pixels = self._place(points), max(1, round(width * self.size))
        self.picture.line(placed, fill=fill or self.dark, width=pixels, joint="curve")
        self.mask.line(placed, fill=255, width=pixels, joint="curve")

    def hole(self, box: tuple[float, float, float, float], background: Colour) -> None:
        (left, top), (right, bottom) = self._place(((box[0], box[1]), (box[2], box[3])))
        self.picture.ellipse((left, top, right, bottom), fill=background, outline=self.dark)
        self.mask.ellipse((left, top, right, bottom), fill=0)


def _apple(pen: Pen, background: Colour) -> None:
    pen.line(((0.5, 0.32), (0.56, 0.06)), 0.07)
    pen.polygon(((0.56, 0.2), (0.72, 0.04), (0.9, 0.08), (0.76, 0.22)), pen.light)
    pen.ellipse((0.06, 0.22, 0.6, 0.94), pen.body)
    pen.ellipse((0.4, 0.22, 0.94, 0.94), pen.body)
    pen.ellipse((0.14, 0.3, 0.86, 0.98), pen.body, 0.001)
    pen.ellipse((0.2, 0.36, 0.36, 0.54), pen.light, 0.001)


def _book(pen: Pen, background: Colour) -> None:
    pen.rectangle((0.12, 0.04, 0.88, 0.96), pen.body)
    pen.rectangle((0.12, 0.04, 0.28, 0.96), pen.dark)
    pen.rectangle((0.4, 0.2, 0.76, 0.4), pen.light)
    pen.line(((0.12, 0.88), (0.88, 0.88)), 0.05, pen.light)


def _bottle(pen: Pen, background: Colour) -> None:
    pen.polygon(
        ((0.4, 0.1), (0.6, 0.1), (0.6, 0.34), (0.74, 0.48), (0.74, 1), (0.26, 1), (0.26, 0.48), (0.4, 0.34)),
        pen.body,
    )
    pen.rectangle((0.37, 0, 0.63, 0.12), pen.dark)
    pen.rectangle((0.26, 0.6, 0.74, 0.82), pen.light)


def _box(pen: Pen, background: Colour) -> None:
    pen.polygon(((0.02, 0.34), (0.66, 0.34), (0.66, 0.98), (0.02, 0.98)), pen.body)
    pen.polygon(((0.02, 0.34), (0.34, 0.06), (0.98, 0.06), (0.66, 0.34)), pen.light)
    pen.polygon(((0.66, 0.34), (0.98, 0.06), (0.98, 0.7), (0.66, 0.98)), pen.dark)


def _chair(pen: Pen, background: Colour) -> None:
    pen.line(((0.2, 0.02), (0.16, 0.98)), 0.12, pen.body)
    pen.line(((0.82, 0.56), (0.86, 0.98)), 0.12, pen.body)
    pen.rectangle((0.1, 0.02, 0.38, 0.56), pen.body)
    pen.rectangle((0.1, 0.48, 0.92, 0.7), pen.body)


def _clock(pen: Pen, background: Colour) -> None:
    pen.ellipse((0.02, 0.02, 0.98, 0.98), pen.body, 0.12)
    for tick in (((0.5, 0.16), (0.5, 0.24)), ((0.5, 0.76), (0.5, 0.84)), ((0.16, 0.5), (0.24, 0.5))):
        pen.line(tick, 0.06)
    pen.line(((0.5, 0.22), (0.5, 0.5), (0.74, 0.6)), 0.08)


def _flower(pen: Pen, background: Colour) -> None:
    pen.line(((0.5, 0.5), (0.5, 1)), 0.08)
    pen.polygon(((0.5, 0.86), (0.76, 0.68), (0.84, 0.82)), pen.dark)
    for x, y in ((0.5, 0.16), (0.22, 0.3), (0.78, 0.3), (0.34, 0.54), (0.66, 0.54)):
        pen.ellipse((x - 0.17, y - 0.16, x + 0.17, y + 0.16), pen.body)
    pen.ellipse((0.37, 0.24, 0.63, 0.48), pen.dark)


def _hat(pen: Pen, background: Colour) -> None:
    pen.rectangle((0.24, 0.12, 0.76, 0.74), pen.body)
    pen.rectangle((0.24, 0.54, 0.76, 0.7), pen.dark)
    pen.ellipse((0, 0.66, 1, 0.9), pen.body)


def _key(pen: Pen, background: Colour) -> None:
    pen.line(((0.4, 0.46), (1, 0.46)), 0.2, pen.body)
    pen.line(((0.7, 0.5), (0.7, 0.8)), 0.13, pen.body)
    pen.line(((0.92, 0.5), (0.92, 0.86)), 0.13, pen.body)
    pen.ellipse((0, 0.18, 0.56, 0.74), pen.body)
    pen.hole((0.19, 0.37, 0.37, 0.55), background)


def _lamp(pen: Pen, background: Colour) -> None:
    pen.line(((0.5, 0.4), (0.5, 0.94)), 0.09)
    pen.polygon(((0.3, 0.02), (0.7, 0.02), (0.92, 0.5), (0.08, 0.5)), pen.body)
    pen.polygon(((0.44, 0.02), (0.56, 0.02), (0.62, 0.5), (0.38, 0.5)), pen.light)
    pen.ellipse((0.22, 0.86, 0.78, 1), pen.body)


def _letter(pen: Pen, background: Colour) -> None:
    pen.rectangle((0, 0.2, 1, 0.84), pen.body)
    pen.polygon(((0, 0.2), (0.5, 0.58), (1, 0.2)), pen.light)
    pen.line(((0, 0.84), (0.38, 0.5)), 0.04)
    pen.line(((1, 0.84), (0.62, 0.5)), 0.04)


def _shirt(pen: Pen, background: Colour) -> None:
    sleeve = ((0.3, 0.08), (0.5, 0.2), (0.7, 0.08), (1, 0.3), (0.86, 0.48), (0.74, 0.4))
    pen.polygon((*sleeve, (0.74, 0.96), (0.26, 0.96), (0.26, 0.4), (0.14, 0.48), (0, 0.3)), pen.body)
    pen.line(((0.5, 0.2), (0.5, 0.96)), 0.03)


def _table(pen: Pen, background: Colour) -> None:
    for x in (0.12, 0.36, 0.64, 0.88):
        pen.line(((x, 0.4), (x, 0.96 if x in (0.12, 0.88) else 0.78)), 0.09, pen.body)
    pen.polygon(((0.14, 0.22), (0.86, 0.22), (1, 0.46), (0, 0.46)), pen.body)


def _umbrella(pen: Pen, background: Colour) -> None:
    pen.line(((0.5, 0.4), (0.5, 0.9), (0.58, 0.97), (0.68, 0.88)), 0.07)
    points = ((0, 0.52), (0.08, 0.26), (0.28, 0.08), (0.5, 0.02), (0.72, 0.08), (0.92, 0.26), (1, 0.52))
    pen.polygon((*points, (0.83, 0.44), (0.66, 0.52), (0.5, 0.44), (0.34, 0.52), (0.17, 0.44)), pen.body)
    pen.line(((0.34, 0.52), (0.5, 0.02), (0.66, 0.52)), 0.03)


DRAWINGS: Mapping[str, Callable[[Pen, Colour], None]] = {
    "apple": _apple,
    "book": _book,
    "bottle": _bottle,
    "box": _box,
    "chair": _chair,
    "clock": _clock,
    "flower": _flower,
    "hat": _hat,
    "key": _key,
    "lamp": _lamp,
    "letter": _letter,
    "shirt": _shirt,
    "table": _table,
    "umbrella": _umbrella,
}
