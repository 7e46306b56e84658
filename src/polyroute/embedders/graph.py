"""MiniLM's weights made into a graph that onnxruntime runs: `python -m polyroute.embedders.graph TARGET`, once.

Quantised to 8 bits per channel. A process of its own, since it takes five times the memory of what it makes.

The network is BERT with 6 layers of 12 heads (Devlin et al. 2019, arXiv 1810.04805, section 3), its words averaged
over the mask and brought to length 1 (Reimers and Gurevych 2019, arXiv 1908.10084). int8 per channel keeps a cosine of
0.994 and more to the original at a quarter of its size (docs/how-to/classifiers.md).
"""

import json
import logging
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from polyroute.embedders.weights import DIMENSIONS, verified_weights

_LAYERS = 6
_HEADS = 12
_OPSET = 20
_MASKED = -1e4  # added to the attention of what is only padding
_TYPES = {"F32": "<f4", "I64": "<i8"}


def build(weights: Path, target: Path) -> None:
    """Puts the quantised graph at `target`, whole or not at all."""
    with TemporaryDirectory(dir=target.parent, prefix="build-") as scratch:
        whole, small = Path(scratch, "whole.onnx"), Path(scratch, "small.onnx")
        onnx.save(_Graph(_tensors(weights)).model(), str(whole))
        quantize_dynamic(str(whole), str(small), weight_type=QuantType.QInt8, per_channel=True)
        small.replace(target)


def _tensors(file: Path) -> dict[str, Any]:
    """A safetensors file: the header's length, the header in JSON, the numbers."""
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        header = json.loads(opened.read(length))
    data = np.memmap(file, mode="r", offset=8 + length, dtype="u1")
    found = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            found[name] = np.frombuffer(data[start:end], dtype=_TYPES[entry["dtype"]]).reshape(entry["shape"])
    return found


class _Graph:
    """Written down node by node; each method adds its own and gives the name of what comes out."""

    def __init__(self, weights: dict[str, Any]) -> None:
        self._weights = weights
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._prefix = ""

    def model(self) -> Any:
        words = self._embedding()
        attention = self._unsqueezed(
            self._op("Mul", self._not_masked(), self._constant("masked", np.float32(_MASKED))), 1, 2
        )
        for layer in range(_LAYERS):
            with self._under(f"encoder.layer.{layer}."):
                words = self._layer(words, attention)
        self._mean(words)
        ports = [helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "words"]) for name in ("ids", "mask")]
        vectors = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["texts", DIMENSIONS])
        graph = helper.make_graph(self._nodes, "minilm", ports, [vectors], self._constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=10)

    def _embedding(self) -> str:
        with self._under("embeddings."):
            length = self._op("Shape", "ids", start=1, end=2)
            first = self._constant("first", np.array([0], "i8"))
            places = self._op("Slice", self._weight("position_embeddings.weight"), first, length, first)
            words = self._op("Gather", self._weight("word_embeddings.weight"), "ids")
            kind = self._constant("kind", self._weights["embeddings.token_type_embeddings.weight"][0])
            return self._normed(self._op("Add", self._op("Add", words, places), kind), "LayerNorm")

    def _not_masked(self) -> str:
        mask = self._op("Cast", "mask", out="mask_f", to=TensorProto.FLOAT)
        return self._op("Sub", self._constant("one", np.float32(1)), mask)

    def _layer(self, words: str, attention: str) -> str:
        asked = self._heads(self._linear(words, "attention.self.query"), [0, 2, 1, 3])
        keys = self._heads(self._linear(words, "attention.self.key"), [0, 2, 3, 1])
        values = self._heads(self._linear(words, "attention.self.value"), [0, 2, 1, 3])
        scale = self._constant("scale", np.float32(1 / math.sqrt(DIMENSIONS / _HEADS)))
        fit = self._op("Add", self._op("Mul", self._op("MatMul", asked, keys), scale), attention)
        mixed = self._op("MatMul", self._op("Softmax", fit, axis=-1), values)
        joined = self._op("Transpose", mixed, perm=[0, 2, 1, 3])
        flat = self._op("Reshape", joined, self._constant("flat", np.array([0, 0, DIMENSIONS], "i8")))
        heard = self._op("Add", self._linear(flat, "attention.output.dense"), words)
        heard = self._normed(heard, "attention.output.LayerNorm")
        thought = self._op("Gelu", self._linear(heard, "intermediate.dense"))
        return self._normed(self._op("Add", self._linear(thought, "output.dense"), heard), "output.LayerNorm")

    def _mean(self, words: str) -> None:
        mask = self._unsqueezed("mask_f", 2)
        axis = self._constant("over_words", np.array([1], "i8"))
        total = self._op("ReduceSum", self._op("Mul", words, mask), axis, keepdims=0)
        mean = self._op("Div", total, self._op("ReduceSum", mask, axis, keepdims=0))
        self._op("LpNormalization", mean, out="vectors", axis=-1, p=2)

    def _heads(self, words: str, order: list[int]) -> str:
        shape = self._constant("heads", np.array([0, 0, _HEADS, DIMENSIONS // _HEADS], "i8"))
        return self._op("Transpose", self._op("Reshape", words, shape), perm=order)

    def _linear(self, words: str, name: str) -> str:
        matrix = self._constant(f"{name}.turned", self._weights[f"{self._prefix}{name}.weight"].T)
        return self._op("Add", self._op("MatMul", words, matrix), self._weight(f"{name}.bias"))

    def _normed(self, words: str, name: str) -> str:
        return self._op(
            "LayerNormalization",
            words,
            self._weight(f"{name}.weight"),
            self._weight(f"{name}.bias"),
            axis=-1,
            epsilon=1e-12,
        )

    def _unsqueezed(self, what: str, *axes: int) -> str:
        return self._op("Unsqueeze", what, self._constant(f"axes{axes}", np.array(axes, "i8")))

    def _weight(self, name: str) -> str:
        return self._constant(name, self._weights[f"{self._prefix}{name}"])

    def _constant(self, name: str, value: Any) -> str:
        known = f"{self._prefix}{name}"
        if all(constant.name != known for constant in self._constants):
            self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value), known))
        return known

    def _op(self, kind: str, *inputs: str, out: str | None = None, **options: Any) -> str:
        name = out or f"{self._prefix}{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **options))
        return name

    @contextmanager
    def _under(self, prefix: str) -> Iterator[None]:
        self._prefix, before = prefix, self._prefix
        yield
        self._prefix = before


if __name__ == "__main__":
    logging.getLogger().setLevel(logging.ERROR)  # the quantiser has advice for everybody
    build(verified_weights(), Path(sys.argv[1]))
