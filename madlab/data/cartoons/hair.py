"""Hair and hats of drawn faces: what lies behind the head, and what lies on it."""

import numpy as np

from madlab.data.cartoons.canvas import Canvas, bow, box, ellipse, stroke
from madlab.data.cartoons.person import LONG, Person, hsv, shade


def paint_behind(canvas: Canvas, person: Person, rng: np.random.Generator) -> None:
    """Paint the hair or scarf that lies behind the head."""
    at, style = person.head, person.style
    ink = shade(person.hair, 0.8)
    wide, high = person.wide, person.high
    if person.hat == "hijab":
        cloth = shade(person.cloth, 0.75)
        canvas.paint(ellipse(at, 0, 0.02, wide + 0.2, high + 0.2), cloth)
        canvas.paint(box(at, 0, 0.6, wide + 0.12, 0.5, 0.2), cloth)
    elif style in ("straight", "fringe", "wavy", "braids"):
        length = rng.uniform(0.35, 0.85)
        canvas.paint(ellipse(at, 0, -0.08, wide + 0.14, high + 0.12), ink)
        canvas.paint(box(at, 0, 0.1 + length / 2, wide + 0.13, 0.2 + length / 2, 0.15), ink)
        if style == "wavy":
            for side in (-1, 1):
                for step in range(5):
                    place = side * (wide + 0.08 + 0.05 * (step % 2)), -0.2 + 0.22 * step
                    canvas.paint(ellipse(at, *place, 0.13, 0.16), ink)
        if style == "braids":
            for side in (-1, 1):
                for step in range(6):
                    tone = person.hair if step % 2 else ink
                    canvas.paint(
                        ellipse(at, side * (wide + 0.1), 0.15 + 0.15 * step, 0.1, 0.1), tone
                    )
    elif style == "bob":
        canvas.paint(ellipse(at, 0, -0.05, wide + 0.16, high + 0.13), ink)
        canvas.paint(box(at, 0, 0.2, wide + 0.16, 0.35, 0.15), ink)
    elif style == "ponytail":
        away = -person.light
        canvas.paint(ellipse(at, away * (wide + 0.1), 0.15, 0.17, 0.5), ink)
        canvas.paint(ellipse(at, away * (wide + 0.02), -0.3, 0.16, 0.2), ink)
    elif style == "pigtails":
        for side in (-1, 1):
            canvas.paint(ellipse(at, side * (wide + 0.2), 0.1, 0.19, 0.34), person.hair)
            canvas.paint(ellipse(at, side * (wide + 0.08), -0.18, 0.07, 0.07), person.cloth)
    elif style == "afro" and person.hat not in ("beanie", "turban"):
        canvas.paint(ellipse(at, 0, -0.22, wide + 0.3, high + 0.12), ink)
        for turn in range(11):
            x, y = _around(turn / 10)
            canvas.paint(ellipse(at, (wide + 0.26) * x, -0.2 - (high + 0.08) * y, 0.13, 0.13), ink)
    elif style == "bun" and not person.hat:
        canvas.paint(ellipse(at, 0, -high - 0.13, 0.22, 0.2), ink)


def _around(share: float) -> tuple[float, float]:
    """Return a place on the upper half of a circle, from its left (0) to its right (1) end."""
    # Rational in the share, so that no library's sine is in the picture.
    t = 2 * share - 1
    return 2 * t / (1 + t * t), (1 - t * t) / (1 + t * t)


def paint_on_top(canvas: Canvas, person: Person, rng: np.random.Generator) -> None:
    """Paint the hair that lies on the head."""
    u, v = at = person.head
    style, hair, wide, high = person.style, person.hair, person.wide, person.high
    if person.hat == "hijab" or style == "bald":
        return
    grown = {"buzz": 0.015, "receding": 0.04, "bun": 0.035, "ponytail": 0.04, "braids": 0.05}
    cap = person.skull(grown.get(style, 0.07))
    if style == "bob" or style in LONG:
        cap = np.minimum(cap, ellipse(at, 0, -0.1, wide + 0.12, high + 0.1))
    height = rng.uniform(-0.38, -0.3)
    part = rng.uniform(-0.6, 0.6) * wide
    if style in ("fringe", "bob"):
        line = np.float32(height + 0.13) + 0.12 * (u / wide) ** 2
    elif style in ("side", "wavy", "straight", "pigtails"):
        line = np.float32(height - 0.1) + 0.75 * np.abs(u - part)
    elif style == "receding":
        line = np.float32(-0.55) + 0.77 * (u / wide) ** 2
    elif style == "spiky":
        saw = np.abs((u * 5 + 0.25) % 1 - 0.5)
        line = np.float32(height - 0.1) + 0.35 * saw + 0.25 * (u / wide) ** 2
    else:
        line = np.float32(height) + 0.3 * (u / wide) ** 2
    # Hair does not grow below the ears on the front of the head, except in locks.
    reach = {"straight": 0.75, "wavy": 0.5, "bob": 0.5, "fringe": 0.7, "braids": 0.25}.get(
        style, 0.02
    )
    locks = np.abs(u) < np.float32(wide - 0.07)
    front = np.where(locks, v - line, v - np.float32(reach))
    opacity = 0.75 if style == "buzz" else 1.0
    canvas.paint(np.maximum(cap, front * np.float32(0.8)), hair, opacity)
    shine = shade(hair, 1.18)
    if style == "receding":
        for side in (-1, 1):
            canvas.paint(ellipse(at, side * (wide + 0.01), -0.05, 0.1, 0.22), hair)
    elif style == "curly":
        for turn in range(9):
            x, y = _around(turn / 8)
            place = (wide + 0.03) * x, -0.28 - (high - 0.22) * y
            canvas.paint(ellipse(at, *place, 0.15, 0.14), shade(hair, 0.88 if turn % 2 else 1.05))
        for turn in range(6):
            place = (turn - 2.5) * 0.16, height - 0.06 - 0.02 * (turn % 2)
            canvas.paint(ellipse(at, *place, 0.11, 0.1), shade(hair, 0.9 if turn % 2 else 1.08))
    elif style == "quiff":
        canvas.paint(ellipse(at, 0.1 * person.light, -high + 0.02, 0.42, 0.2), hair)
        canvas.paint(bow(at, 0.1 * person.light, -high + 0.03, 0.3, -0.1, 0.02), shine)
    elif style == "spiky":
        for turn in range(7):
            x, y = _around((turn + 0.5) / 7)
            tip = 1.28 * wide * x, -0.18 - (high + 0.02) * y
            canvas.paint(stroke(at, 0.7 * wide * x, -0.25 - 0.2 * y, *tip, 0.07), hair)
    elif style == "mohawk":
        canvas.paint(box(at, 0, -high, 0.14, 0.3, 0.1), hair)
    elif style == "afro":
        canvas.paint(ellipse(at, 0, -high + 0.06, wide + 0.05, 0.24), hair)
    elif style not in ("buzz", "bun"):
        canvas.paint(bow(at, -0.14 * person.light, -high + 0.17, 0.2, -0.06, 0.025), shine)


def paint_hat(canvas: Canvas, person: Person, rng: np.random.Generator) -> None:
    """Paint the hat, scarf or headphones, where there are any."""
    at, hat, wide, high = person.head, person.hat, person.wide, person.high
    v = at[1]
    cloth = hsv(rng.random(), rng.uniform(0.3, 0.85), rng.uniform(0.3, 0.95))
    trim = shade(cloth, 0.7) if rng.random() < 0.5 else shade(cloth, 1.5)
    if hat == "beanie":
        canvas.paint(np.maximum(ellipse(at, 0, -0.3, wide + 0.1, high - 0.12), v + 0.34), cloth)
        canvas.paint(box(at, 0, -0.36, wide + 0.11, 0.1, 0.05), trim)
        if rng.random() < 0.5:
            canvas.paint(ellipse(at, 0, -high - 0.2, 0.15, 0.13), trim)
    elif hat == "cap":
        canvas.paint(np.maximum(ellipse(at, 0, -0.3, wide + 0.06, high - 0.17), v + 0.33), cloth)
        canvas.paint(ellipse(at, 0.28 * person.light, -0.34, 0.5, 0.09), trim)
        canvas.paint(ellipse(at, 0, -0.53, 0.1, 0.09), trim)
    elif hat == "brim":
        canvas.paint(np.maximum(ellipse(at, 0, -0.4, wide - 0.02, high - 0.18), v + 0.4), cloth)
        canvas.paint(box(at, 0, -0.5, wide - 0.03, 0.06), trim)
        canvas.paint(ellipse(at, 0, -0.38, wide + 0.36, 0.09), cloth)
    elif hat == "hijab":
        inner = ellipse(at, 0, 0.06, wide - 0.05, high - 0.06)
        outer = ellipse(at, 0, -0.02, wide + 0.16, high + 0.16)
        canvas.paint(np.maximum(outer, -inner), person.cloth)
        canvas.paint(np.maximum(np.abs(inner) - 0.02, outer), shade(person.cloth, 1.25))
        canvas.paint(box(at, 0.1 * person.light, 0.82, wide, 0.2, 0.15), person.cloth)
    elif hat == "turban":
        canvas.paint(np.maximum(ellipse(at, 0, -0.42, wide + 0.14, 0.42), v + 0.27), cloth)
        for fold in range(3):
            canvas.paint(bow(at, 0, -0.36 - 0.14 * fold, wide, -0.14, 0.015), trim)
    elif hat == "headband":
        band = np.abs(v + 0.36 - 0.1 * (at[0] / wide) ** 2) - 0.06
        canvas.paint(np.maximum(person.skull(0.075), band), cloth)
    elif hat == "bow":
        x, y = 0.28 * person.light, -high + 0.03
        for side in (-1, 1):
            canvas.paint(ellipse(at, x + 0.13 * side, y, 0.14, 0.11), cloth)
        canvas.paint(ellipse(at, x, y, 0.06, 0.06), trim)
    elif hat == "headphones":
        ring = np.abs(ellipse(at, 0, -0.05, wide + 0.13, high + 0.1)) - 0.04
        canvas.paint(np.maximum(ring, v + 0.02), shade(cloth, 0.5))
        for side in (-1, 1):
            canvas.paint(box(at, side * (wide + 0.06), 0.04, 0.1, 0.18, 0.08), cloth)
