"""Who a drawn face is of: what several parts of the drawing share, and hair, beard and hat."""

import colorsys
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from madlab.data.cartoons.canvas import At, Canvas, Colour, both, bow, box, ellipse, stroke

# From the lightest to the darkest, after the ten Monk skin tones (Google, 2022), but warmer: a
# drawing has no warm light of its own.
_SKINS = (
    "f6e0d2", "f4d3bc", "edc29f", "e0ae85", "cb966c", "ac7a53", "8c6043", "6d4731", "53362a",
    "3f2a23",
)  # fmt: skip
_HAIRS = {
    "17130f": 4, "2a1c14": 4, "4a2d1a": 3, "6b4423": 3, "8d5a2b": 2, "b5803f": 2, "d9b062": 2,
    "ead08f": 1, "a0401c": 1, "c4622d": 1, "8f8f90": 1, "d8d8d6": 1,
}  # fmt: skip
_DARK_HAIRS = {"17130f": 8, "2a1c14": 6, "4a2d1a": 2, "8f8f90": 1, "d8d8d6": 1}
_IRISES = {"2b1a10": 4, "4a2c16": 4, "6b4a22": 2, "4f6b35": 1, "3f6f8f": 2, "6f8fa0": 1}

LONG = {"straight": 3, "wavy": 3, "fringe": 2, "ponytail": 2, "pigtails": 1, "braids": 1, "bob": 2}
SHORT = {"buzz": 2, "short": 3, "side": 3, "quiff": 2, "spiky": 2, "curly": 3, "receding": 1,
         "bald": 2, "afro": 2, "bun": 2, "mohawk": 1}  # fmt: skip
_HATS = {"": 24, "beanie": 2, "cap": 2, "brim": 2, "hijab": 2, "turban": 1, "headband": 1,
         "bow": 1, "headphones": 1}  # fmt: skip
# How far hair stands off the skull, and how far down its locks hang, where that is not usual.
_GROWN = {"buzz": 0.015, "receding": 0.04, "bun": 0.035, "ponytail": 0.04, "braids": 0.05}
_REACH = {"straight": 0.75, "wavy": 0.5, "bob": 0.5, "fringe": 0.7, "braids": 0.25}


def pick(rng: np.random.Generator, weights: Mapping[str, int]) -> str:
    """Return a random key, each as often as its weight says."""
    ends = np.cumsum(list(weights.values()))
    return list(weights)[int(np.searchsorted(ends, rng.integers(ends[-1]), side="right"))]


def rgb(text: str) -> Colour:
    """Return a colour of six hexadecimal digits as float32 `(3,)`, each from 0 to 1."""
    return np.frombuffer(bytes.fromhex(text), np.uint8).astype(np.float32) / np.float32(255)


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """Return a colour by hue, saturation and value, all from 0 to 1; hues go round."""
    return np.array(colorsys.hsv_to_rgb(hue % 1, saturation, value), np.float32)


def shade(colour: Colour, factor: float) -> Colour:
    """Return a colour darker (a factor below 1) or nearer to white (above 1)."""
    if factor <= 1:
        return colour * np.float32(factor)
    return colour + np.float32(factor - 1) * (1 - colour)


@dataclass(frozen=True)
class Person:
    """A person, in coordinates of the head: its middle is (0, 0), its height about 1.25."""

    skin: Colour
    dark: Colour  # the skin in shadow
    hair: Colour
    iris: Colour
    cloth: Colour
    style: str
    hat: str
    wide: float  # half the width of the head
    high: float  # half its height
    jaw: float  # how much narrower the chin is
    light: float  # -1 where light comes from the left, 1 from the right
    body: At  # places beside the upright body
    head: At  # places in the tilted head

    def oval(self, y: float, beside: float, above: float) -> np.ndarray:
        """Return about the distance to an ellipse at height y, so much larger than the head."""
        return ellipse(self.head, 0, y, self.wide + beside, self.high + above)

    def skull(self, grown: float = 0.0) -> np.ndarray:
        """Return about the distance to the outline of the head, or of one `grown` larger."""
        u, v = self.head
        down = np.clip(v * np.float32(1 / self.high), 0, 1.2)
        taper = 1 - np.float32(self.jaw) * down * down
        return ellipse((u / taper, v), 0, 0, self.wide + grown, self.high + grown)


def random_person(rng: np.random.Generator, canvas: Canvas) -> Person:
    """Return a person who stands somewhere near the middle of a canvas."""
    tone = 9 * rng.random()
    low = min(int(tone), 8)
    skin = rgb(_SKINS[low]) + np.float32(tone - low) * (rgb(_SKINS[low + 1]) - rgb(_SKINS[low]))
    skin = skin * np.float32(1 + 0.03 * rng.standard_normal())
    skin = np.clip(skin * (1 + 0.012 * rng.standard_normal(3, np.float32)), 0, 1)
    hair = rgb(pick(rng, _DARK_HAIRS if tone > 4.5 else _HAIRS))
    dyed = hsv(rng.random(), rng.uniform(0.4, 0.8), rng.uniform(0.5, 0.95))
    hair = dyed if rng.random() < 0.08 else hair * np.float32(rng.uniform(0.85, 1.1))
    iris = rgb(pick(rng, {"2b1a10": 3, "4a2c16": 2} if tone > 5 else _IRISES))
    x, y = 0.05 * rng.standard_normal(2)
    scale = float(np.clip(1.12 + 0.06 * rng.standard_normal(), 1, 1.3))
    tilt = float(np.clip(0.09 * rng.standard_normal(), -0.25, 0.25))
    y += 0.14
    return Person(
        skin=skin,
        dark=skin * np.array([0.78, 0.7, 0.68], np.float32),
        hair=np.clip(hair, 0, 1),
        iris=iris,
        cloth=hsv(rng.random(), rng.uniform(0.1, 0.8), rng.uniform(0.25, 0.95)),
        style=pick(rng, LONG if rng.random() < 0.48 else SHORT),
        hat=pick(rng, _HATS),
        wide=rng.uniform(0.45, 0.54),
        high=rng.uniform(0.59, 0.67),
        jaw=rng.uniform(0.08, 0.3),
        light=float(rng.choice([-1.0, 1.0])),
        body=canvas.turned(x, y, 0, scale),
        head=canvas.turned(x, y, tilt, scale),
    )


def paint_behind(canvas: Canvas, person: Person, rng: np.random.Generator) -> None:
    """Paint the hair or scarf that lies behind the head."""
    at, style, hat, wide, high = person.head, person.style, person.hat, person.wide, person.high
    ink = shade(person.hair, 0.8)
    if hat == "hijab":
        cloth = shade(person.cloth, 0.75)
        canvas.paint(cloth, person.oval(0.02, 0.2, 0.2), box(at, 0, 0.6, wide + 0.12, 0.5, 0.2))
    elif style in ("straight", "fringe", "wavy", "braids"):
        half = rng.uniform(0.35, 0.85) / 2
        fall = box(at, 0, 0.1 + half, wide + 0.13, 0.2 + half, 0.15)
        canvas.paint(ink, person.oval(-0.08, 0.14, 0.12), fall)
        if style == "wavy":
            for step in range(5):
                place = wide + 0.08 + 0.05 * (step % 2), -0.2 + 0.22 * step
                canvas.paint(ink, *both(ellipse, at, *place, 0.13, 0.16))
        if style == "braids":
            for step in range(6):
                tone = person.hair if step % 2 else ink
                canvas.paint(tone, *both(ellipse, at, wide + 0.1, 0.15 + 0.15 * step, 0.1, 0.1))
    elif style == "bob":
        canvas.paint(ink, person.oval(-0.05, 0.16, 0.13), box(at, 0, 0.2, wide + 0.16, 0.35, 0.15))
    elif style == "ponytail":
        away = -person.light
        canvas.paint(ink, ellipse(at, away * (wide + 0.1), 0.15, 0.17, 0.5))
        canvas.paint(ink, ellipse(at, away * (wide + 0.02), -0.3, 0.16, 0.2))
    elif style == "pigtails":
        canvas.paint(person.hair, *both(ellipse, at, wide + 0.2, 0.1, 0.19, 0.34))
        canvas.paint(person.cloth, *both(ellipse, at, wide + 0.08, -0.18, 0.07, 0.07))
    elif style == "afro" and hat not in ("beanie", "turban"):
        canvas.paint(ink, person.oval(-0.22, 0.3, 0.12))
        for x, y in map(_around, np.arange(11) / 10):
            canvas.paint(ink, ellipse(at, (wide + 0.26) * x, -0.2 - (high + 0.08) * y, 0.13, 0.13))
    elif style == "bun" and not hat:
        canvas.paint(ink, ellipse(at, 0, -high - 0.13, 0.22, 0.2))


def _around(share: float) -> tuple[float, float]:
    """Return a place on the upper half of a circle, from its left (0) to its right (1) end."""
    # Rational in the share, so that no library's sine is in the picture.
    t = 2 * share - 1
    return 2 * t / (1 + t * t), (1 - t * t) / (1 + t * t)


def paint_beard(canvas: Canvas, person: Person, rng: np.random.Generator) -> None:
    """Paint a beard, where there is any."""
    u, v = at = person.head
    bearded = person.hat != "hijab" and rng.random() < (0.04 if person.style in LONG else 0.5)
    beard = pick(rng, {"full": 3, "stubble": 2, "goatee": 2, "moustache": 2})
    if not bearded:
        return
    ink = shade(person.hair, 0.9)
    if beard in ("full", "stubble"):
        grown, opacity = (0.05, 1.0) if beard == "full" else (0.0, 0.35)
        line = 0.42 - 1.3 * u * u - 0.12 * np.abs(u)
        canvas.paint(ink, np.maximum(person.skull(grown), (line - v) * 0.7), opacity=opacity)
    if beard == "goatee":
        canvas.paint(ink, ellipse(at, 0, person.high - 0.08, 0.15, 0.13))
    if beard != "stubble":
        canvas.paint(ink, *both(stroke, at, 0.03, 0.265, 0.17, 0.31, 0.045))


def paint_on_top(canvas: Canvas, person: Person, rng: np.random.Generator) -> None:
    """Paint the hair that lies on the head."""
    u, v = at = person.head
    style, hair, wide, high = person.style, person.hair, person.wide, person.high
    if person.hat == "hijab" or style == "bald":
        return
    cap = person.skull(_GROWN.get(style, 0.07))
    if style in LONG:
        cap = np.minimum(cap, person.oval(-0.1, 0.12, 0.1))
    height = rng.uniform(-0.38, -0.3)
    part = rng.uniform(-0.6, 0.6) * wide
    square = (u / wide) ** 2
    if style in ("fringe", "bob"):
        line = np.float32(height + 0.13) + 0.12 * square
    elif style in ("side", "wavy", "straight", "pigtails"):
        line = np.float32(height - 0.1) + 0.75 * np.abs(u - part)
    elif style == "receding":
        line = np.float32(-0.55) + 0.77 * square
    elif style == "spiky":
        line = np.float32(height - 0.1) + 0.35 * np.abs((u * 5 + 0.25) % 1 - 0.5) + 0.25 * square
    else:
        line = np.float32(height) + 0.3 * square
    # Hair does not grow below the ears on the front of the head, except in locks.
    locks = v - np.float32(_REACH.get(style, 0.02))
    front = np.where(np.abs(u) < np.float32(wide - 0.07), v - line, locks)
    opacity = 0.75 if style == "buzz" else 1.0
    canvas.paint(hair, np.maximum(cap, front * np.float32(0.8)), opacity=opacity)
    shine = shade(hair, 1.18)
    if style == "receding":
        canvas.paint(hair, *both(ellipse, at, wide + 0.01, -0.05, 0.1, 0.22))
    elif style == "curly":
        for turn in range(9):
            x, y = _around(turn / 8)
            curl = ellipse(at, (wide + 0.03) * x, -0.28 - (high - 0.22) * y, 0.15, 0.14)
            canvas.paint(shade(hair, 0.88 if turn % 2 else 1.05), curl)
        for turn in range(6):
            curl = ellipse(at, (turn - 2.5) * 0.16, height - 0.06 - 0.02 * (turn % 2), 0.11, 0.1)
            canvas.paint(shade(hair, 0.9 if turn % 2 else 1.08), curl)
    elif style == "quiff":
        canvas.paint(hair, ellipse(at, 0.1 * person.light, -high + 0.02, 0.42, 0.2))
        canvas.paint(shine, bow(at, 0.1 * person.light, -high + 0.03, 0.3, -0.1, 0.02))
    elif style == "spiky":
        for x, y in map(_around, (np.arange(7) + 0.5) / 7):
            tip = 1.28 * wide * x, -0.18 - (high + 0.02) * y
            canvas.paint(hair, stroke(at, 0.7 * wide * x, -0.25 - 0.2 * y, *tip, 0.07))
    elif style == "mohawk":
        canvas.paint(hair, box(at, 0, -high, 0.14, 0.3, 0.1))
    elif style == "afro":
        canvas.paint(hair, ellipse(at, 0, -high + 0.06, wide + 0.05, 0.24))
    elif style not in ("buzz", "bun"):
        canvas.paint(shine, bow(at, -0.14 * person.light, -high + 0.17, 0.2, -0.06, 0.025))


def paint_hat(canvas: Canvas, person: Person, rng: np.random.Generator) -> None:
    """Paint the hat, scarf or headphones, where there are any."""
    at, hat, wide, high, light = person.head, person.hat, person.wide, person.high, person.light
    v = at[1]
    cloth = hsv(rng.random(), rng.uniform(0.3, 0.85), rng.uniform(0.3, 0.95))
    trim = shade(cloth, 0.7 if rng.random() < 0.5 else 1.5)
    if hat == "beanie":
        canvas.paint(cloth, np.maximum(person.oval(-0.3, 0.1, -0.12), v + 0.34))
        canvas.paint(trim, box(at, 0, -0.36, wide + 0.11, 0.1, 0.05))
        if rng.random() < 0.5:
            canvas.paint(trim, ellipse(at, 0, -high - 0.2, 0.15, 0.13))
    elif hat == "cap":
        canvas.paint(cloth, np.maximum(person.oval(-0.3, 0.06, -0.17), v + 0.33))
        canvas.paint(trim, ellipse(at, 0.28 * light, -0.34, 0.5, 0.09))
        canvas.paint(trim, ellipse(at, 0, -0.53, 0.1, 0.09))
    elif hat == "brim":
        canvas.paint(cloth, np.maximum(person.oval(-0.4, -0.02, -0.18), v + 0.4))
        canvas.paint(trim, box(at, 0, -0.5, wide - 0.03, 0.06))
        canvas.paint(cloth, ellipse(at, 0, -0.38, wide + 0.36, 0.09))
    elif hat == "hijab":
        inner, outer = person.oval(0.06, -0.05, -0.06), person.oval(-0.02, 0.16, 0.16)
        canvas.paint(person.cloth, np.maximum(outer, -inner))
        canvas.paint(shade(person.cloth, 1.25), np.maximum(np.abs(inner) - 0.02, outer))
        canvas.paint(person.cloth, box(at, 0.1 * light, 0.82, wide, 0.2, 0.15))
    elif hat == "turban":
        canvas.paint(cloth, np.maximum(ellipse(at, 0, -0.42, wide + 0.14, 0.42), v + 0.27))
        canvas.paint(trim, *(bow(at, 0, -0.36 - 0.14 * i, wide, -0.14, 0.015) for i in range(3)))
    elif hat == "headband":
        band = np.abs(v + 0.36 - 0.1 * (at[0] / wide) ** 2) - 0.06
        canvas.paint(cloth, np.maximum(person.skull(0.075), band))
    elif hat == "bow":
        x, y = 0.28 * light, -high + 0.03
        canvas.paint(cloth, *(ellipse(at, x + side, y, 0.14, 0.11) for side in (-0.13, 0.13)))
        canvas.paint(trim, ellipse(at, x, y, 0.06, 0.06))
    elif hat == "headphones":
        ring = np.abs(person.oval(-0.05, 0.13, 0.1)) - 0.04
        canvas.paint(shade(cloth, 0.5), np.maximum(ring, v + 0.02))
        canvas.paint(cloth, *both(box, at, wide + 0.06, 0.04, 0.1, 0.18, 0.08))
