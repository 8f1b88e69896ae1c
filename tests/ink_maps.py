"""Maps of digits placed by their ink, above and below: quicker than t-SNE, and as well kept."""

import build_gallery
import numpy as np

from madlab.gallery import Embedding


def by_ink(made, generations, n_real=150):
    """Return a chain's map as a gallery keeps it, of 60 digits of each of these generations."""

    def points(images):
        return images.reshape(len(images), 2, -1).mean(2).astype(np.float32)

    real, shown = made.data.held_out, {t: made.samples(t) for t in generations}
    placed = {t: (points(found.images[:60]), found.labels[:60]) for t, found in shown.items()}
    embedding = Embedding(points(real.images[:n_real]), real.labels[:n_real], placed)
    return build_gallery.packed(embedding, "ink")
