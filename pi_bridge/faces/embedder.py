"""A face as numbers: MobileFaceNet."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from ..model import Embedding
from .litert import Floats, Model
from .picture import Pixels

# Alignment and preparation belong to the model: who changes them changes this name, and galleries are embedded anew.
MODEL_ID: Final = "mobilefacenet-1"


class Embedder:
    """MobileFaceNet; the same person is usually within L2 0.80."""

    def __init__(self, model: Path) -> None:
        """Load the model; raises OSError, RuntimeError or ValueError."""
        self._model = Model(model)

    def embed(self, chip: Pixels) -> Embedding:
        """Return the unit vector of an aligned face, the mean of the face and its mirror image."""
        pair = (np.stack([chip, chip[:, ::-1]]) - np.float32(127.5)) / np.float32(128)
        (vectors,) = self._model.run(pair, "embeddings")
        return Embedding(MODEL_ID, tuple(_unit(_unit(vectors).mean(axis=0)).tolist()))


def _unit(vectors: Floats) -> Floats:
    unit: Floats = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return unit
