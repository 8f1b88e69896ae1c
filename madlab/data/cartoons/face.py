"""One drawn face, painted from the back to the front."""

import numpy as np

from madlab.data.cartoons import hair
from madlab.data.cartoons.canvas import Canvas, bow, box, ellipse, stroke
from madlab.data.cartoons.person import LONG, Person, hsv, pick, random_person, rgb, shade


def paint_face(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return one picture, uint8 `(size, size, 3)`, painted from the back to the front."""
    canvas = Canvas(size)
    person = random_person(rng, canvas)
    _background(canvas, rng)
    hair.paint_behind(canvas, person, rng)
    _body(canvas, person, rng)
    _head(canvas, person, rng)
    _beard(canvas, person, rng)
    _mouth(canvas, person, rng)
    _eyes(canvas, person, rng)
    hair.paint_on_top(canvas, person, rng)
    _glasses(canvas, person, rng)
    hair.paint_hat(canvas, person, rng)
    return canvas.picture()


def _background(canvas: Canvas, rng: np.random.Generator) -> None:
    at = canvas.at
    scene = pick(rng, {"plain": 3, "hills": 2, "lights": 2, "leaves": 2, "shelf": 1, "window": 1,
                      "stripes": 1, "sea": 1})  # fmt: skip
    hue = rng.random()
    top = hsv(hue, rng.uniform(0.05, 0.6), rng.uniform(0.35, 0.98))
    low = hsv(hue + rng.uniform(-0.12, 0.12), rng.uniform(0.05, 0.6), rng.uniform(0.3, 0.95))
    if scene == "leaves":
        top, low = hsv(rng.uniform(0.2, 0.45), 0.45, 0.35), hsv(rng.uniform(0.15, 0.4), 0.4, 0.75)
    elif scene in ("hills", "sea"):
        top, low = rgb("7fb4e6"), rgb("dcecf5")
        if rng.random() < 0.3:
            top, low = rgb("4a5a9a"), rgb("f2b48a")
    canvas.pixels[:] = top
    canvas.blend((at[0] * np.float32(rng.uniform(-0.5, 0.5)) + at[1] + 1) / 2, low)
    if scene == "hills":
        green = hsv(rng.uniform(0.2, 0.4), 0.5, rng.uniform(0.4, 0.7))
        canvas.paint(ellipse(at, rng.uniform(-0.9, 0.9), -0.65, 0.16, 0.16), rgb("fff0b0"))
        canvas.paint(ellipse(at, rng.uniform(-1, -0.3), 0.9, 1.1, 0.8), green)
        canvas.paint(ellipse(at, rng.uniform(0.3, 1), 1.0, 1.1, 0.8), shade(green, 0.8))
    elif scene == "sea":
        line = rng.uniform(-0.3, 0.2)
        canvas.paint(np.float32(line) - at[1], hsv(rng.uniform(0.5, 0.62), 0.6, 0.6))
        canvas.paint(np.float32(line + 0.5) - at[1], rgb("e6d2a0"))
    elif scene in ("lights", "leaves"):
        spread = 0.5 if scene == "lights" else 0.12
        hue = rng.random() if scene == "lights" else rng.uniform(0.2, 0.42)
        for x, y, r, turn, opacity in rng.random((14 if scene == "lights" else 22, 5)):
            tone = hsv(hue + spread * (turn - 0.5), 0.5, 0.55 + 0.4 * opacity)
            size = 0.08 + 0.2 * r
            canvas.paint(ellipse(at, 2 * x - 1, 2 * y - 1, size, size), tone, 0.3 + 0.4 * opacity)
    elif scene == "shelf":
        edge = -1.0
        while edge < 1:
            width = rng.uniform(0.05, 0.14)
            book = hsv(rng.random(), rng.uniform(0.2, 0.6), rng.uniform(0.3, 0.8))
            canvas.paint(box(at, edge + width, -0.5, width - 0.01, rng.uniform(0.4, 0.5)), book)
            edge += 2 * width
        canvas.paint(box(at, 0, 0.03, 1, 0.04), rgb("6b4a2f"))
    elif scene == "window":
        x = rng.choice([-0.6, 0.6])
        canvas.paint(box(at, x, -0.3, 0.38, 0.55), rgb("f4f1ea"))
        for pane in (-0.58, -0.02):
            canvas.paint(box(at, x, pane, 0.32, 0.24), rgb("a9d2ef"))
    elif scene == "stripes":
        width, lean = rng.uniform(0.2, 0.45), rng.uniform(-0.6, 0.6)
        wave = np.abs((at[0] + np.float32(lean) * at[1] + 4) / np.float32(width) % 1 - 0.5)
        canvas.paint((np.float32(0.25) - wave) * np.float32(width), shade(low, 0.8))


def _body(canvas: Canvas, person: Person, rng: np.random.Generator) -> None:
    at, cloth = person.body, person.cloth
    canvas.paint(box(at, 0, 0.62, 0.24, 0.35, 0.1), person.dark)
    shoulders = ellipse(at, 0, 1.35, rng.uniform(0.85, 1.15), rng.uniform(0.62, 0.72))
    canvas.paint(shoulders, cloth)
    neckline = pick(rng, {"round": 3, "collar": 2, "shirt": 2, "striped": 2, "hood": 1})
    if neckline == "striped":
        bands = np.abs((at[1] + 4) / np.float32(0.16) % 1 - 0.5) - 0.25
        canvas.paint(np.maximum(shoulders, bands * np.float32(0.16)), shade(cloth, 1.5))
    elif neckline == "hood":
        canvas.paint(np.abs(ellipse(at, 0, 0.6, 0.42, 0.3)) - 0.09, shade(cloth, 0.8))
    elif neckline == "shirt":
        for side in (-1, 1):
            canvas.paint(stroke(at, side * 0.24, 0.7, side * 0.06, 0.95, 0.06), shade(cloth, 1.6))
        canvas.paint(stroke(at, 0, 0.9, 0, 1.3, 0.045), shade(cloth, 0.5))
    if neckline in ("round", "striped", "collar"):
        canvas.paint(
            ellipse(at, 0, 0.68, 0.26, 0.16 if neckline != "collar" else 0.26), person.dark
        )


def _head(canvas: Canvas, person: Person, rng: np.random.Generator) -> None:
    u, v = at = person.head
    skin, dark, wide, high = person.skin, person.dark, person.wide, person.high
    rings = rng.random() < (0.4 if person.style in LONG else 0.08)
    metal = rgb("e8c45a") if rng.random() < 0.6 else rgb("dfe3e8")
    for side in (-1, 1):
        canvas.paint(ellipse(at, side * (wide + 0.02), 0.06, 0.1, 0.14), dark)
        canvas.paint(ellipse(at, side * (wide + 0.01), 0.05, 0.08, 0.12), skin)
        if rings:
            canvas.paint(ellipse(at, side * (wide + 0.04), 0.24, 0.045, 0.06), metal)
    canvas.paint(person.skull(0.025), shade(dark, 0.85))
    canvas.paint(person.skull(), dark)
    lit = ellipse((u - np.float32(0.07 * person.light), v), 0, -0.02, wide - 0.02, high + 0.02)
    canvas.paint(np.maximum(person.skull(), lit), skin)
    blush = skin * np.array([1, 0.72, 0.7], np.float32)
    strength = rng.uniform(0, 0.4)
    for side in (-1, 1):
        canvas.paint(ellipse(at, side * 0.27, 0.2, 0.12, 0.09), blush, strength)
    if rng.random() < 0.12:
        for x, y in rng.random((14, 2)):
            spot = ellipse(at, 0.6 * (x - 0.5), 0.08 + 0.16 * y, 0.018, 0.018)
            canvas.paint(spot, shade(dark, 0.8), 0.7)
    if rng.random() < 0.15:
        for line in range(3):
            canvas.paint(bow(at, 0, -0.42 + 0.08 * line, 0.2, -0.03, 0.008), dark)
    # The nose: a shadow, a hook or a button.
    nose, size = pick(rng, {"hook": 3, "shadow": 2, "button": 3}), rng.uniform(0.06, 0.1)
    y = rng.uniform(0.12, 0.19)
    if nose == "hook":
        canvas.paint(
            stroke(at, -size * person.light, y, 0.2 * size, y + 0.03, 0.022), shade(dark, 0.8)
        )
        canvas.paint(stroke(at, -size * person.light, y, -0.02 * person.light, -0.05, 0.014), dark)
    elif nose == "shadow":
        canvas.paint(ellipse(at, -0.03 * person.light, y - 0.06, size, 0.13), dark, 0.6)
        canvas.paint(bow(at, 0, y, size, 0.04, 0.018), shade(dark, 0.8))
    else:
        canvas.paint(ellipse(at, 0, y + 0.01, size + 0.02, size), shade(dark, 0.95))
        canvas.paint(
            ellipse(at, 0.02 * person.light, y - 0.01, size, 0.8 * size), shade(skin, 1.08)
        )


def _beard(canvas: Canvas, person: Person, rng: np.random.Generator) -> None:
    u, v = at = person.head
    bearded = person.hat != "hijab" and rng.random() < (0.04 if person.style in LONG else 0.5)
    beard = pick(rng, {"full": 3, "stubble": 2, "goatee": 2, "moustache": 2})
    if not bearded:
        return
    ink = shade(person.hair, 0.9)
    if beard in ("full", "stubble"):
        line = 0.42 - 1.3 * u * u - 0.12 * np.abs(u)
        face = np.maximum(person.skull(0.05 if beard == "full" else 0), (line - v) * 0.7)
        canvas.paint(face, ink, 1.0 if beard == "full" else 0.35)
    if beard == "goatee":
        canvas.paint(ellipse(at, 0, person.high - 0.08, 0.15, 0.13), ink)
    if beard in ("full", "goatee", "moustache"):
        for side in (-1, 1):
            canvas.paint(stroke(at, side * 0.03, 0.265, side * 0.17, 0.31, 0.045), ink)


def _mouth(canvas: Canvas, person: Person, rng: np.random.Generator) -> None:
    at = person.head
    mouth = pick(rng, {"smile": 4, "grin": 4, "line": 2, "lips": 3, "round": 1, "sad": 1})
    y, half = rng.uniform(0.34, 0.4), rng.uniform(0.13, 0.22)
    red = person.skin * np.array([0.8, 0.45, 0.45], np.float32)
    lipstick = hsv(rng.uniform(0.92, 1.03), rng.uniform(0.5, 0.8), rng.uniform(0.5, 0.85))
    lip = lipstick if person.style in LONG and rng.random() < 0.5 else red
    if mouth == "grin":
        open_mouth = np.maximum(ellipse(at, 0, y - 0.03, half, 0.15), y - 0.04 - at[1])
        canvas.paint(open_mouth - 0.02, lip)
        canvas.paint(open_mouth, rgb("5a1a1c"))
        canvas.paint(np.maximum(open_mouth + 0.012, at[1] - y - 0.03), rgb("fbf7f0"))
    elif mouth == "lips":
        canvas.paint(ellipse(at, 0, y + 0.02, 0.85 * half, 0.065), lip)
        canvas.paint(bow(at, 0, y, 0.9 * half, 0.03, 0.012), shade(lip, 0.5))
    elif mouth == "round":
        canvas.paint(ellipse(at, 0, y + 0.03, 0.1, 0.11), lip)
        canvas.paint(ellipse(at, 0, y + 0.03, 0.065, 0.075), rgb("4a1517"))
    else:
        sag = {"smile": 0.1, "line": 0.01, "sad": -0.07}[mouth]
        canvas.paint(bow(at, 0, y - sag / 3, half, sag, 0.028), shade(lip, 0.8))


def _eyes(canvas: Canvas, person: Person, rng: np.random.Generator) -> None:
    at = person.head
    apart, y = rng.uniform(0.185, 0.225), rng.uniform(-0.1, -0.04)
    wide, high = rng.uniform(0.095, 0.13), rng.uniform(0.055, 0.1)
    gaze = rng.uniform(-0.03, 0.03)
    closed = rng.random() < 0.06
    lash = rng.random() < (0.7 if person.style in LONG else 0.2)
    brow, lift = rng.uniform(0.02, 0.04), rng.uniform(0.15, 0.2)
    slant, arch = rng.uniform(-0.04, 0.012), rng.uniform(0.01, 0.05)
    hair = shade(person.hair, 0.7) if person.hair.mean() < 0.75 else person.hair * np.float32(0.75)
    line = shade(person.dark, 0.45)
    for side in (-1, 1):
        x = side * apart
        if closed:
            canvas.paint(bow(at, x, y, wide, 0.04, 0.02), line)
        else:
            white = ellipse(at, x, y, wide, high)
            canvas.paint(white, rgb("fdfcfa"))
            iris = ellipse(at, x + gaze, y, 0.07, 0.07)
            canvas.paint(np.maximum(iris, white), person.iris)
            canvas.paint(np.maximum(iris + 0.035, white), rgb("0d0a09"))
            canvas.paint(
                ellipse(at, x + gaze + 0.025 * person.light, y - 0.03, 0.02, 0.02), rgb("ffffff")
            )
            canvas.paint(bow(at, x, y - 0.2 * high, wide + 0.01, -0.8 * high, 0.016), line)
            if lash:
                tip = x + side * (wide + 0.05)
                canvas.paint(stroke(at, x + side * wide, y - 0.02, tip, y - 0.07, 0.016), line)
        inner, outer = y - lift + slant, y - lift - slant
        middle = (inner + outer) / 2 - arch
        canvas.paint(stroke(at, x - side * 0.11, inner, x, middle, brow), hair)
        canvas.paint(stroke(at, x, middle, x + side * 0.13, outer, brow), hair)


def _glasses(canvas: Canvas, person: Person, rng: np.random.Generator) -> None:
    at = person.head
    glasses = pick(rng, {"": 15, "round": 2, "square": 2, "sun": 1})
    frame = hsv(rng.random(), 0.7, 0.35) if rng.random() < 0.5 else rgb("1a1a1c")
    if not glasses:
        return
    for side in (-1, 1):
        x, y = side * 0.21, -0.06
        if glasses == "round":
            lens = ellipse(at, x, y, 0.165, 0.16)
        else:
            lens = box(at, x, y, 0.165, 0.125, 0.06)
        if glasses == "sun":
            canvas.paint(lens, rgb("15171c"), 0.95)
            canvas.paint(stroke(at, x - 0.08, y - 0.02, x - 0.03, y - 0.07, 0.015), rgb("8fa0b0"))
        else:
            canvas.paint(lens, rgb("e8f2fa"), 0.18)
        canvas.paint(np.abs(lens) - 0.022, frame)
        canvas.paint(
            stroke(at, x + side * 0.16, y - 0.04, side * person.wide, y - 0.06, 0.018), frame
        )
    canvas.paint(stroke(at, -0.05, -0.08, 0.05, -0.08, 0.018), frame)
