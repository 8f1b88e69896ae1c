"""A canvas for drawings: shapes as signed distances, painted one over the other with soft edges.

Shapes are functions of places `at`, two float32 arrays (right and down) in some coordinates, and
return the distance to the shape's edge, negative inside. The canvas reaches from -1 to 1 both ways.
Only exactly rounded operations touch the arrays, so every machine draws the same bytes.
"""

import math
from collections.abc import Callable

import numpy as np

Colour = np.ndarray  # float32 (3,), each from 0 to 1
At = tuple[np.ndarray, np.ndarray]


class Canvas:
    """Square pixels to paint on.

    - `size`: the pixels a side of the finished picture; small ones are drawn at twice that.
    """

    def __init__(self, size: int) -> None:
        self.fine = 2 if size < 64 else 1
        side = size * self.fine
        place = (np.arange(side, dtype=np.float32) + np.float32(0.5)) * np.float32(2 / side) - 1
        right, down = np.broadcast_arrays(place, place[:, None])
        self.at: At = right, down
        self.pixels = np.zeros((side, side, 3), np.float32)
        self._sharpness = np.float32(side / 2)

    def turned(self, x: float, y: float, angle: float, scale: float) -> At:
        """Return the places in coordinates centred on (x, y), turned by an angle in radians."""
        right, down = self.at[0] - np.float32(x), self.at[1] - np.float32(y)
        c, s = np.float32(math.cos(angle) / scale), np.float32(math.sin(angle) / scale)
        return c * right + s * down, c * down - s * right

    def paint(self, colour: Colour, *shapes: np.ndarray, opacity: float = 1.0) -> None:
        """Paint shapes, one after the other; their edges are one pixel soft."""
        for distance in shapes:
            near = distance < 0.5 / self._sharpness
            rows, columns = np.flatnonzero(near.any(1)), np.flatnonzero(near.any(0))
            if len(rows):
                part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
                cover = np.float32(0.5) - distance[part] * self._sharpness
                cover = np.clip(cover, 0, 1) * np.float32(opacity)
                self.pixels[part] += cover[..., None] * (colour - self.pixels[part])

    def picture(self) -> np.ndarray:
        """Return the finished picture, uint8 `(size, size, 3)`."""
        side, fine = len(self.pixels) // self.fine, self.fine
        mean = self.pixels.reshape(side, fine, side, fine, 3).mean((1, 3))
        return np.rint(np.clip(mean, 0, 1) * np.float32(255)).astype(np.uint8)


def both(shape: Callable[..., np.ndarray], at: At, *numbers: float) -> list[np.ndarray]:
    """Return the distances to a shape's mirror image on the left, and to the shape itself."""
    return [shape((-at[0], at[1]), *numbers), shape(at, *numbers)]


def ellipse(at: At, x: float, y: float, a: float, b: float) -> np.ndarray:
    """Return about the distance to an ellipse with half-axes a and b."""
    u, v = (at[0] - np.float32(x)) * np.float32(1 / a), (at[1] - np.float32(y)) * np.float32(1 / b)
    u, v = u * u, v * v
    reach = np.sqrt(u + v)
    slope = np.sqrt(u * np.float32(1 / a**2) + v * np.float32(1 / b**2))
    return reach * (reach - 1) / np.maximum(slope, np.float32(1e-6))


def box(at: At, x: float, y: float, a: float, b: float, corner: float = 0.0) -> np.ndarray:
    """Return the distance to a box of half-sides a and b, with rounded corners."""
    u = np.abs(at[0] - np.float32(x)) - np.float32(a - corner)
    v = np.abs(at[1] - np.float32(y)) - np.float32(b - corner)
    outside = np.sqrt(np.maximum(u, 0) ** 2 + np.maximum(v, 0) ** 2)
    return outside + np.minimum(np.maximum(u, v), 0) - np.float32(corner)


def stroke(at: At, x0: float, y0: float, x1: float, y1: float, width: float) -> np.ndarray:
    """Return the distance to a line from one place to another, `width` to either side of it."""
    u, v = at[0] - np.float32(x0), at[1] - np.float32(y0)
    along = np.float32(x1 - x0), np.float32(y1 - y0)
    length = max(float(along[0] ** 2 + along[1] ** 2), 1e-12)
    t = np.clip((u * along[0] + v * along[1]) * np.float32(1 / length), 0, 1)
    return np.sqrt((u - t * along[0]) ** 2 + (v - t * along[1]) ** 2) - np.float32(width)


def bow(at: At, x: float, y: float, half: float, sag: float, width: float) -> np.ndarray:
    """Return about the distance to an arc whose middle is `sag` below its ends at height y."""
    u = at[0] - np.float32(x)
    v = at[1] - np.float32(y) - np.float32(sag) * (1 - (u * np.float32(1 / half)) ** 2)
    slope = u * np.float32(2 * sag / half**2)
    across = np.abs(v) / np.sqrt(1 + slope * slope)
    return np.maximum(across, np.abs(u) - np.float32(half)) - np.float32(width)
