"""Which reference a data set is measured against."""

from madlab.data.samples import Dataset
from madlab.metrics.pictures import PictureReference
from madlab.metrics.reference import Reference
from madlab.metrics.scores import kind_of

N_EVALUATE = 10_000


def reference_for(
    data: Dataset, n_evaluate: int | None = None, features: str | None = None
) -> Reference | PictureReference:
    """Return the reference that chains on a data set are scored against.

    - `data`: colour pictures are scored as small sets are, see `PictureReference`; digits and
      points by `Reference`.
    - `n_evaluate`: how many samples are scored; None takes 10,000, but of colour pictures no more
      than the training pool has.
    - `features`: None takes "efficientnet" for colour pictures, "lenet" for digits and "points"
      for points.

    Raises what the two classes raise.
    """
    kind = kind_of(data.images)
    features = features or next(iter(kind.features))
    if kind.name == "pictures":
        n = min(N_EVALUATE, len(data)) if n_evaluate is None else n_evaluate
        return PictureReference(data, n, features)
    return Reference(data.held_out, n_evaluate or N_EVALUATE, features)
