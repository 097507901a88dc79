"""A LiteRT model as a function of one array."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ai_edge_litert.interpreter import Interpreter
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_THREADS: Final = 1  # the other cores belong to the camera and the server


class Model:
    """A model with one input."""

    def __init__(self, path: Path) -> None:
        """Load a .tflite file; raises OSError, RuntimeError or ValueError."""
        self._interpreter = Interpreter(model_path=str(path), num_threads=_THREADS)
        self._interpreter.allocate_tensors()
        (self._input,) = (detail["index"] for detail in self._interpreter.get_input_details())
        self._outputs = {detail["name"]: detail["index"] for detail in self._interpreter.get_output_details()}

    def run(self, values: Floats, *outputs: str) -> list[Floats]:
        """Return the named outputs for an input."""
        self._interpreter.set_tensor(self._input, values)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(self._outputs[name]) for name in outputs]
