"""Our own precision, recall, density and coverage: prdc takes many times as long, and misses ties.

Distances are screened by a float32 matrix product, chunk by chunk, with a bound on its rounding
error; every comparison that the bound leaves open is decided by float64 differences. The result
is that of exact float64 arithmetic at the price of single precision.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from madlab import checks

ROWS = 512
PAIRS = 100_000
CROWDED = 50


class Neighbours(NamedTuple):
    """How two sets lie to each other, as shares; density alone may exceed 1.

    - `precision`: synthetic points inside at least one real ball (quality).
    - `recall`: real points inside at least one synthetic ball (diversity).
    - `density`: real balls around a synthetic point, on average, divided by k.
    - `coverage`: real balls that hold at least one synthetic point.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def distinct(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first place of each of u distinct rows, and which of these each row is.

    Both int64, `(u,)` and `(n,)`: `rows[first][inverse]` equals `rows`, `(n, ...)`, byte by byte.
    """
    places: dict[bytes, int] = {}
    inverse = np.fromiter(
        (places.setdefault(row.tobytes(), len(places)) for row in rows), np.int64, len(rows)
    )
    return np.unique(inverse, return_index=True)[1], inverse


class _Points:
    """Points in float64 for exact distances, and shifted in `dtype` for the screening."""

    def __init__(
        self, points: np.ndarray, centre: np.ndarray, dtype: type[np.floating] = np.float32
    ) -> None:
        self.exact = points
        shifted = points - centre
        self.norms = np.einsum("ij,ij->i", shifted, shifted)
        self.shifted = shifted.astype(dtype)
        # (d + 2) u bounds the rounding of a sum of d + 2 products relative to the sum of their
        # sizes, at most 2 (|a|^2 + |b|^2); 10 more cover rounded inputs and rounded limits.
        self.bound = (points.shape[1] + 12) * float(np.finfo(dtype).eps)

    def screen(self, other: "_Points") -> Iterator[tuple[slice, np.ndarray]]:
        """Yield rows and lower bounds of their squared distances to `other`, `(rows, m)`."""
        # With e = bound (|a|^2 + |b|^2), the exact distance lies between low and low + 2 e. Norms
        # ride along as two more columns, so the product is the lower bound itself.
        dtype, kept = self.shifted.dtype, 1 - self.bound
        left = np.ones((len(self.norms), self.shifted.shape[1] + 2), dtype)
        left[:, :-2] = -2 * self.shifted
        left[:, -1] = kept * self.norms
        right = np.ones((left.shape[1], len(other.norms)), dtype)
        right[:-2] = other.shifted.T
        right[-2] = kept * other.norms
        # One buffer for all chunks: fresh pages would cost as much as the arithmetic.
        buffer = np.empty((ROWS, right.shape[1]), dtype)
        for start in range(0, len(left), ROWS):
            rows = slice(start, min(start + ROWS, len(left)))
            yield rows, np.matmul(left[rows], right, out=buffer[: rows.stop - start])

    def between(self, i: np.ndarray, other: "_Points", j: np.ndarray) -> np.ndarray:
        """Return exact squared distances of points i here to j there, the same in either order."""
        found = np.empty(len(i))
        for part in range(0, len(i), PAIRS):
            pairs = slice(part, part + PAIRS)
            apart = self.exact[i[pairs]] - other.exact[j[pairs]]
            found[pairs] = np.einsum("ij,ij->i", apart, apart)
        return found


def pair(
    real: np.ndarray, synthetic: np.ndarray, what: str = "features", least: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return two sets of rows as float64, or raise ValueError unless they have one width."""
    x = checks.rows(f"real {what}", real, least=least)
    y = checks.rows(f"synthetic {what}", synthetic, least=least)
    if x.shape[1] != y.shape[1]:
        raise ValueError(
            f"real {what} have d = {x.shape[1]} dimensions and synthetic ones {y.shape[1]}; "
            "both must come from the same feature map"
        )
    return x, y


def _check(points: np.ndarray, k: int, what: str) -> np.ndarray:
    checks.count("k", k, least=1)
    if k >= len(points):
        raise ValueError(
            f"k = {k} neighbours need at least {k + 1} {what}; there are {len(points)}. "
            "Measure more of them or choose a smaller k"
        )
    return np.ascontiguousarray(points)


def _kth(rows: np.ndarray, squared: np.ndarray, copies: np.ndarray, k: int) -> np.ndarray:
    """Return the k-th smallest of each of `rows`, but the point itself, copies counted."""
    order = np.lexsort((squared, rows))
    total = copies[order].cumsum()
    first = np.searchsorted(rows, np.arange(rows[-1] + 1))
    before = total[first] - copies[order][first]
    short = total - before[rows] <= k
    return np.asarray(squared[order][first + np.bincount(rows[short], minlength=len(first))])


def _reach(side: _Points, rows: slice, low: np.ndarray, k: int) -> np.ndarray:
    """Return for every row of a chunk a bound that at least k + 1 points do not exceed.

    Columns fall into groups, every `groups`-th to one; the least upper bounds of k + 1 groups
    belong to k + 1 points, and finding them costs a fraction of sorting the row.
    """
    m = low.shape[1]
    groups = min(m, max(k + 1, m // 40))
    whole = m - m % groups
    least = low[:, :whole].reshape(len(low), -1, groups).min(1)
    least[:, : m - whole] = np.minimum(least[:, : m - whole], low[:, whole:])
    farthest = np.zeros(groups)
    np.maximum.at(farthest, np.arange(m) % groups, side.norms)
    upper = least + 3 * side.bound * (side.norms[rows, None] + farthest)
    wanted = min(k + 1, groups) - 1
    return np.asarray(np.partition(upper, wanted, 1)[:, wanted])


def _radii(
    points: np.ndarray, copies: np.ndarray, k: int, dtype: type[np.floating] = np.float32
) -> np.ndarray:
    """Return squared distances of distinct points to their k-th neighbours, copies counted."""
    side = _Points(points, np.median(points, 0), dtype)
    radii = np.zeros(len(points))
    for rows, low in side.screen(side):
        limits = _reach(side, rows, low, k)[:, None].astype(low.dtype)
        i, j = np.divmod(np.flatnonzero(low <= limits), low.shape[1])
        if len(i) > CROWDED * k * len(low) and dtype is np.float32:
            # Tight clusters, as of a collapsed model: single precision cannot tell them apart.
            return _radii(points, copies, k, np.float64)
        radii[rows] = _kth(i, side.between(i + rows.start, side, j), copies[j], k)
    return radii


def squared_radii(points: np.ndarray, k: int = 5) -> np.ndarray:
    """Return every point's squared distance to its k-th nearest other point, float64 `(n,)`.

    - `points`: features `(n, d)`, n > k; exact copies of a point count, at distance 0.

    Raises ValueError for k that does not fit or numbers not finite.
    """
    found = _check(checks.rows("points", points), k, "points")
    first, inverse = distinct(found)
    return np.asarray(_radii(found[first], np.bincount(inverse), k)[inverse])


def _inside(
    real: _Points, synthetic: _Points, rows: slice, low: np.ndarray, limits: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of a chunk within limits, `(rows, 1)` or `(1, m)`, of squared distance."""
    i, j = np.divmod(np.flatnonzero(low <= limits.astype(low.dtype)), low.shape[1])
    limit = np.broadcast_to(limits, low.shape)[i, j]
    slack = 3 * real.bound * (real.norms[rows][i] + synthetic.norms[j])
    sure = low[i, j] + slack <= limit
    i = i + rows.start
    open_ = np.flatnonzero(~sure)
    sure[open_] = real.between(i[open_], synthetic, j[open_]) <= limit[open_]
    return i[sure], j[sure]


def neighbours(
    real: np.ndarray, synthetic: np.ndarray, k: int = 5, radii: np.ndarray | None = None
) -> Neighbours:
    """Return precision, recall, density and coverage of `synthetic` against `real`.

    A point's ball reaches to its k-th nearest other point of its own set; a point at exactly
    that distance is inside (<=, as in torch-fidelity; prdc takes <, which differs at exact ties,
    for instance where more than k samples are equal). All four depend on the sizes of the sets:
    compare only numbers taken at equal sizes.

    - `real`, `synthetic`: features `(n, d)` and `(m, d)`, more than k of each.
    - `radii`: what `squared_radii(real, k)` returned, to reuse it for a fixed real set.

    Raises ValueError for k that does not fit, for different d, for numbers that are not finite.

    Source: Kynkaanniemi et al. 2019 (precision, recall), Naeem et al. 2020 (density, coverage).
    """
    x, y = pair(real, synthetic, "points")
    x, y = _check(x, k, "real points"), _check(y, k, "synthetic points")
    first_x, inverse_x = distinct(x)
    first_y, inverse_y = distinct(y)
    copies_x, copies_y = np.bincount(inverse_x), np.bincount(inverse_y)
    x, y = x[first_x], y[first_y]
    radii_x = _radii(x, copies_x, k) if radii is None else radii[first_x]
    radii_y = _radii(y, copies_y, k)
    centre = np.median(x, 0)
    a, b = _Points(x, centre), _Points(y, centre)
    balls = np.zeros(len(y))
    covered, recalled = np.zeros(len(x), bool), np.zeros(len(x), bool)
    for rows, low in a.screen(b):
        i, j = _inside(a, b, rows, low, radii_x[rows, None])
        balls += np.bincount(j, copies_x[i], len(y))
        covered[i] = True
        i, _ = _inside(a, b, rows, low, radii_y[None])
        recalled[i] = True
    return Neighbours(
        precision=float((balls > 0)[inverse_y].mean()),
        recall=float(recalled[inverse_x].mean()),
        density=float(balls[inverse_y].mean() / k),
        coverage=float(covered[inverse_x].mean()),
    )
