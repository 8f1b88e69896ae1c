"""Affine couplings: an invertible network whose Jacobian determinant is a sum away."""

import torch
from torch import Tensor, nn

# A coupling scales by a factor between exp(-LOG_SCALE) and exp(LOG_SCALE).
LOG_SCALE = 2.0


class Coupling(nn.Module):
    """What one coupling does to the coordinates it moves, computed from those that it keeps.

    One hidden layer. It starts as the identity: the last layer is zero.

    - `kept`, `moved`: how many coordinates of each kind.
    - `hidden`: width of the hidden layer.
    """

    def __init__(self, kept: int, moved: int, hidden: int) -> None:
        super().__init__()
        self.enter = nn.Linear(kept, hidden)
        self.leave = nn.Linear(hidden, 2 * moved)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Map `(n, kept)` to log-scales within +-`LOG_SCALE` and shifts, both `(n, moved)`."""
        scale, shift = self.leave(nn.functional.silu(self.enter(kept))).chunk(2, dim=1)
        return LOG_SCALE * torch.tanh(scale / LOG_SCALE), shift


class Flow(nn.Module):
    """Couplings in a row, an invertible map from noise `(n, d)` to points `(n, d)`.

    Each coupling moves the first coordinates, each x to exp(log-scale) x + shift, and keeps the
    last d // 2; then the two groups change places.

    - `dimensions`: d, at least 2.
    - `couplings`, `hidden`: how many, and the width of each one's hidden layer.
    """

    def __init__(self, dimensions: int, couplings: int, hidden: int) -> None:
        super().__init__()
        self.kept = dimensions // 2
        self.moved = dimensions - self.kept
        self.couplings = nn.ModuleList(
            Coupling(self.kept, self.moved, hidden) for _ in range(couplings)
        )

    def forward(self, noise: Tensor) -> Tensor:
        """Map noise `(n, d)` to points `(n, d)`."""
        x = noise
        for coupling in self.couplings:
            moved, kept = x[:, : self.moved], x[:, self.moved :]
            scale, shift = coupling(kept)
            x = torch.cat((kept, moved * scale.exp() + shift), dim=1)
        return x

    def inverse(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Map points `(n, d)` to noise `(n, d)`, with the log-determinant of that map, `(n,)`."""
        x, total = points, points.new_zeros(len(points))
        for coupling in reversed(self.couplings):
            kept, moved = x[:, : self.kept], x[:, self.kept :]
            scale, shift = coupling(kept)
            x = torch.cat(((moved - shift) * (-scale).exp(), kept), dim=1)
            total = total - scale.sum(dim=1)
        return x, total
