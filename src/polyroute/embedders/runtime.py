"""MiniLM on one thread, in the process that imports this. Needs the extra `embeddings`."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from polyroute.embedders.weights import DIMENSIONS, GRAPH, model_folder

MOST_WORD_PIECES = 256  # what the model was trained with
_MOST_CHARS = 4_000  # no 256 word pieces of ordinary text are longer
_BUILD_S = 300.0
_QUIET = 3  # onnxruntime's level: errors only

Matrix = Any  # float32, a row per text


class MiniLM:
    """Vectors of length 1: their dot product is their cosine."""

    def __init__(self, cache: Path) -> None:
        """Builds the graph where `cache` has none yet, which takes some seconds. Raises OSError where it cannot."""
        self._tokenizer = Tokenizer.from_file(str(model_folder() / "tokenizer.json"))
        self._tokenizer.enable_truncation(MOST_WORD_PIECES)
        self._tokenizer.no_padding()
        file = cache / GRAPH
        if not file.exists():
            _build(file)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = _QUIET
        self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def embed(self, texts: Sequence[str]) -> Matrix:
        """In the order of `texts`; what is beyond the model's word pieces is not read.

        One by one: on one thread a batch is no faster, and with 8 bits a text's vector would depend on its company.
        """
        vectors = np.empty((len(texts), DIMENSIONS), "f4")
        for row, text in enumerate(texts):
            ids = np.array([self._tokenizer.encode(text[:_MOST_CHARS]).ids], "i8")
            vectors[row] = self._session.run(None, {"ids": ids, "mask": np.ones_like(ids)})[0][0]
        return vectors


def _build(target: Path) -> None:
    command = (sys.executable, "-I", "-m", "polyroute.embedders.graph", str(target))
    built = subprocess.run(command, capture_output=True, text=True, timeout=_BUILD_S, check=False)  # noqa: S603 - our own module
    if built.returncode != 0:
        told = built.stderr.strip().splitlines()
        raise OSError(f"the embedding model could not be built: {told[-1] if told else 'it gave no reason'}")
