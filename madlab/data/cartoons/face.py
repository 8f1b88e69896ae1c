"""One drawn face, painted from the back to the front."""

import numpy as np

from madlab.data.cartoons import person as people
from madlab.data.cartoons.canvas import Canvas, both, bow, box, ellipse, stroke
from madlab.data.cartoons.person import LONG, Person, hsv, pick, rgb, shade


def paint_face(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return one picture, uint8 `(size, size, 3)`."""
    canvas = Canvas(size)
    person = people.random_person(rng, canvas)
    _background(canvas, rng)
    for paint in (people.paint_behind, _body, _head, people.paint_beard, _mouth, _eyes,
                  people.paint_on_top, _glasses, people.paint_hat):  # fmt: skip
        paint(canvas, person, rng)
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
        evening = rng.random() < 0.3
        top, low = (rgb("4a5a9a"), rgb("f2b48a")) if evening else (rgb("7fb4e6"), rgb("dcecf5"))
    share = (at[0] * np.float32(rng.uniform(-0.5, 0.5)) + at[1] + 1) / 2
    canvas.pixels[:] = top
    canvas.pixels += np.clip(share, 0, 1)[..., None] * (low - canvas.pixels)
    if scene == "hills":
        green = hsv(rng.uniform(0.2, 0.4), 0.5, rng.uniform(0.4, 0.7))
        canvas.paint(rgb("fff0b0"), ellipse(at, rng.uniform(-0.9, 0.9), -0.65, 0.16, 0.16))
        canvas.paint(green, ellipse(at, rng.uniform(-1, -0.3), 0.9, 1.1, 0.8))
        canvas.paint(shade(green, 0.8), ellipse(at, rng.uniform(0.3, 1), 1.0, 1.1, 0.8))
    elif scene == "sea":
        line = rng.uniform(-0.3, 0.2)
        canvas.paint(hsv(rng.uniform(0.5, 0.62), 0.6, 0.6), np.float32(line) - at[1])
        canvas.paint(rgb("e6d2a0"), np.float32(line + 0.5) - at[1])
    elif scene in ("lights", "leaves"):
        lights = scene == "lights"
        count, spread, hue = (
            (14, 0.5, rng.random()) if lights else (22, 0.12, rng.uniform(0.2, 0.42))
        )
        for x, y, r, turn, opacity in rng.random((count, 5)):
            tone = hsv(hue + spread * (turn - 0.5), 0.5, 0.55 + 0.4 * opacity)
            spot = ellipse(at, 2 * x - 1, 2 * y - 1, 0.08 + 0.2 * r, 0.08 + 0.2 * r)
            canvas.paint(tone, spot, opacity=0.3 + 0.4 * opacity)
    elif scene == "shelf":
        edge = -1.0
        while edge < 1:
            width = rng.uniform(0.05, 0.14)
            book = hsv(rng.random(), rng.uniform(0.2, 0.6), rng.uniform(0.3, 0.8))
            canvas.paint(book, box(at, edge + width, -0.5, width - 0.01, rng.uniform(0.4, 0.5)))
            edge += 2 * width
        canvas.paint(rgb("6b4a2f"), box(at, 0, 0.03, 1, 0.04))
    elif scene == "window":
        x = rng.choice([-0.6, 0.6])
        canvas.paint(rgb("f4f1ea"), box(at, x, -0.3, 0.38, 0.55))
        canvas.paint(rgb("a9d2ef"), *(box(at, x, y, 0.32, 0.24) for y in (-0.58, -0.02)))
    elif scene == "stripes":
        width, lean = rng.uniform(0.2, 0.45), rng.uniform(-0.6, 0.6)
        wave = np.abs((at[0] + np.float32(lean) * at[1] + 4) / np.float32(width) % 1 - 0.5)
        canvas.paint(shade(low, 0.8), (np.float32(0.25) - wave) * np.float32(width))


def _body(canvas: Canvas, person: Person, rng: np.random.Generator) -> None:
    at, cloth = person.body, person.cloth
    canvas.paint(person.dark, box(at, 0, 0.62, 0.24, 0.35, 0.1))
    shoulders = ellipse(at, 0, 1.35, rng.uniform(0.85, 1.15), rng.uniform(0.62, 0.72))
    canvas.paint(cloth, shoulders)
    neckline = pick(rng, {"round": 3, "collar": 2, "shirt": 2, "striped": 2, "hood": 1})
    if neckline == "striped":
        bands = np.abs((at[1] + 4) / np.float32(0.16) % 1 - 0.5) - 0.25
        canvas.paint(shade(cloth, 1.5), np.maximum(shoulders, bands * np.float32(0.16)))
    elif neckline == "hood":
        canvas.paint(shade(cloth, 0.8), np.abs(ellipse(at, 0, 0.6, 0.42, 0.3)) - 0.09)
    elif neckline == "shirt":
        canvas.paint(shade(cloth, 1.6), *both(stroke, at, 0.24, 0.7, 0.06, 0.95, 0.06))
        canvas.paint(shade(cloth, 0.5), stroke(at, 0, 0.9, 0, 1.3, 0.045))
    deep = {"round": 0.16, "striped": 0.16, "collar": 0.26}.get(neckline)
    if deep:
        canvas.paint(person.dark, ellipse(at, 0, 0.68, 0.26, deep))


def _head(canvas: Canvas, person: Person, rng: np.random.Generator) -> None:
    at, skin, dark, light = person.head, person.skin, person.dark, person.light
    wide, skull = person.wide, person.skull()
    rings = rng.random() < (0.4 if person.style in LONG else 0.08)
    metal = rgb("e8c45a") if rng.random() < 0.6 else rgb("dfe3e8")
    canvas.paint(dark, *both(ellipse, at, wide + 0.02, 0.06, 0.1, 0.14))
    canvas.paint(skin, *both(ellipse, at, wide + 0.01, 0.05, 0.08, 0.12))
    if rings:
        canvas.paint(metal, *both(ellipse, at, wide + 0.04, 0.24, 0.045, 0.06))
    canvas.paint(shade(dark, 0.85), person.skull(0.025))
    canvas.paint(dark, skull)
    lit = ellipse(at, 0.07 * light, -0.02, wide - 0.02, person.high + 0.02)
    canvas.paint(skin, np.maximum(skull, lit))
    blush = skin * np.array([1, 0.72, 0.7], np.float32)
    cheeks = both(ellipse, at, 0.27, 0.2, 0.12, 0.09)
    canvas.paint(blush, *cheeks, opacity=rng.uniform(0, 0.4))
    if rng.random() < 0.12:
        for x, y in rng.random((14, 2)):
            spot = ellipse(at, 0.6 * (x - 0.5), 0.08 + 0.16 * y, 0.018, 0.018)
            canvas.paint(shade(dark, 0.8), spot, opacity=0.7)
    if rng.random() < 0.15:
        canvas.paint(dark, *(bow(at, 0, -0.42 + 0.08 * i, 0.2, -0.03, 0.008) for i in range(3)))
    # The nose: a shadow, a hook or a button.
    nose, size = pick(rng, {"hook": 3, "shadow": 2, "button": 3}), rng.uniform(0.06, 0.1)
    y = rng.uniform(0.12, 0.19)
    if nose == "hook":
        tip = -size * light, y
        canvas.paint(shade(dark, 0.8), stroke(at, *tip, 0.2 * size, y + 0.03, 0.022))
        canvas.paint(dark, stroke(at, *tip, -0.02 * light, -0.05, 0.014))
    elif nose == "shadow":
        canvas.paint(dark, ellipse(at, -0.03 * light, y - 0.06, size, 0.13), opacity=0.6)
        canvas.paint(shade(dark, 0.8), bow(at, 0, y, size, 0.04, 0.018))
    else:
        canvas.paint(shade(dark, 0.95), ellipse(at, 0, y + 0.01, size + 0.02, size))
        canvas.paint(shade(skin, 1.08), ellipse(at, 0.02 * light, y - 0.01, size, 0.8 * size))


def _mouth(canvas: Canvas, person: Person, rng: np.random.Generator) -> None:
    at = person.head
    mouth = pick(rng, {"smile": 4, "grin": 4, "line": 2, "lips": 3, "round": 1, "sad": 1})
    y, half = rng.uniform(0.34, 0.4), rng.uniform(0.13, 0.22)
    lip = person.skin * np.array([0.8, 0.45, 0.45], np.float32)
    lipstick = hsv(rng.uniform(0.92, 1.03), rng.uniform(0.5, 0.8), rng.uniform(0.5, 0.85))
    if person.style in LONG and rng.random() < 0.5:
        lip = lipstick
    if mouth == "grin":
        open_mouth = np.maximum(ellipse(at, 0, y - 0.03, half, 0.15), y - 0.04 - at[1])
        canvas.paint(lip, open_mouth - 0.02)
        canvas.paint(rgb("5a1a1c"), open_mouth)
        canvas.paint(rgb("fbf7f0"), np.maximum(open_mouth + 0.012, at[1] - y - 0.03))
    elif mouth == "lips":
        canvas.paint(lip, ellipse(at, 0, y + 0.02, 0.85 * half, 0.065))
        canvas.paint(shade(lip, 0.5), bow(at, 0, y, 0.9 * half, 0.03, 0.012))
    elif mouth == "round":
        canvas.paint(lip, ellipse(at, 0, y + 0.03, 0.1, 0.11))
        canvas.paint(rgb("4a1517"), ellipse(at, 0, y + 0.03, 0.065, 0.075))
    else:
        sag = {"smile": 0.1, "line": 0.01, "sad": -0.07}[mouth]
        canvas.paint(shade(lip, 0.8), bow(at, 0, y - sag / 3, half, sag, 0.028))


def _eyes(canvas: Canvas, person: Person, rng: np.random.Generator) -> None:
    at = person.head
    apart, y = rng.uniform(0.185, 0.225), rng.uniform(-0.1, -0.04)
    wide, high = rng.uniform(0.095, 0.13), rng.uniform(0.055, 0.1)
    gaze = rng.uniform(-0.03, 0.03)
    closed = rng.random() < 0.06
    lash = rng.random() < (0.7 if person.style in LONG else 0.2)
    brow, lift = rng.uniform(0.02, 0.04), rng.uniform(0.15, 0.2)
    slant, arch = rng.uniform(-0.04, 0.012), rng.uniform(0.01, 0.05)
    tone = shade(person.hair, 0.7 if person.hair.mean() < 0.75 else 0.75)
    line = shade(person.dark, 0.45)
    if closed:
        canvas.paint(line, *both(bow, at, apart, y, wide, 0.04, 0.02))
    else:
        for x in (-apart, apart):
            white = ellipse(at, x, y, wide, high)
            iris = ellipse(at, x + gaze, y, 0.07, 0.07)
            canvas.paint(rgb("fdfcfa"), white)
            canvas.paint(person.iris, np.maximum(iris, white))
            canvas.paint(rgb("0d0a09"), np.maximum(iris + 0.035, white))
            glint = ellipse(at, x + gaze + 0.025 * person.light, y - 0.03, 0.02, 0.02)
            canvas.paint(rgb("ffffff"), glint)
        canvas.paint(line, *both(bow, at, apart, y - 0.2 * high, wide + 0.01, -0.8 * high, 0.016))
        if lash:
            lid = apart + wide
            canvas.paint(line, *both(stroke, at, lid, y - 0.02, lid + 0.05, y - 0.07, 0.016))
    inner, outer = y - lift + slant, y - lift - slant
    middle = (inner + outer) / 2 - arch
    canvas.paint(tone, *both(stroke, at, apart - 0.11, inner, apart, middle, brow))
    canvas.paint(tone, *both(stroke, at, apart, middle, apart + 0.13, outer, brow))


def _glasses(canvas: Canvas, person: Person, rng: np.random.Generator) -> None:
    at = person.head
    glasses = pick(rng, {"": 15, "round": 2, "square": 2, "sun": 1})
    frame = hsv(rng.random(), 0.7, 0.35) if rng.random() < 0.5 else rgb("1a1a1c")
    if not glasses:
        return
    lens, numbers = (ellipse, (0.165, 0.16)) if glasses == "round" else (box, (0.165, 0.125, 0.06))
    for x in (-0.21, 0.21):
        glass = lens(at, x, -0.06, *numbers)
        if glasses == "sun":
            canvas.paint(rgb("15171c"), glass, opacity=0.95)
            canvas.paint(rgb("8fa0b0"), stroke(at, x - 0.08, -0.08, x - 0.03, -0.13, 0.015))
        else:
            canvas.paint(rgb("e8f2fa"), glass, opacity=0.18)
        canvas.paint(frame, np.abs(glass) - 0.022)
    canvas.paint(frame, *both(stroke, at, 0.37, -0.1, person.wide, -0.12, 0.018))
    canvas.paint(frame, stroke(at, -0.05, -0.08, 0.05, -0.08, 0.018))
