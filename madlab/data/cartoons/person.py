"""Who a drawn face is of: the choices that several parts of the drawing share."""

import colorsys
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from madlab.data.cartoons.canvas import At, Canvas, Colour, ellipse

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

    @property
    def dark(self) -> Colour:
        """The skin in shadow."""
        return self.skin * np.array([0.78, 0.7, 0.68], np.float32)

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
