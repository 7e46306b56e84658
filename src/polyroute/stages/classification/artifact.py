"""A learned classifier as a file: JSON with its arrays in base64, known by its content's hash. It holds no code."""

import base64
import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from polyroute.stages.classification.learned import Learned

FORMAT = "polyroute-classifier@2"
_ARRAYS = ("weights", "rarity", "known", "known_classes", "form_mean", "form_spread")
_STORED = {"known": "<f2"}  # precise enough for nearness, and half the size
_TYPES = frozenset(("<f4", "<f2", "<i4"))
_SORTED = orjson.OPT_SORT_KEYS


def save(learned: Learned, told: Mapping[str, object], file: Path) -> str:
    """Its content hash. `told`: what it was made of, and how good it is. Whole or not at all."""
    content: dict[str, object] = {
        "format": FORMAT,
        "classes": learned.classes,
        "uses_vectors": learned.uses_vectors,
        "floor": learned.floor,
        "curve": learned.curve,
        "told": told,
        "arrays": {name: _written(getattr(learned, name), _STORED.get(name)) for name in _ARRAYS},
    }
    digest = _hash(content)
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}-", delete=False) as scratch:
        scratch.write(orjson.dumps({**content, "sha256": digest}, option=_SORTED))
    os.replace(scratch.name, file)  # noqa: PTH105 - a name, not a Path
    return digest


def load(file: Path) -> tuple[Learned, dict[str, Any]]:
    """The classifier, and the rest of what the file says. Raises OSError, ValueError saying what is wrong."""
    try:
        content = orjson.loads(file.read_bytes())
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError(f"is no {FORMAT}")
        digest = content.pop("sha256")
        if digest != _hash(content):
            raise ValueError("its content is not what its hash says: it was changed, or cut short")
        arrays = {name: _read(content["arrays"][name]) for name in _ARRAYS}
        learned = Learned(
            classes=tuple(content["classes"]),
            uses_vectors=content["uses_vectors"],
            floor=float(content["floor"]),
            curve=(float(content["curve"][0]), float(content["curve"][1])),
            **arrays,
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, IndexError) as exc:
        raise ValueError(f"{file.name} is no classifier: {exc}") from None
    except ValueError as exc:
        raise ValueError(f"{file.name}: {exc}") from None
    del content["arrays"]
    return learned, {**content, "sha256": digest}


def _written(array: Any, kind: str | None) -> dict[str, object]:
    kind = kind or array.dtype.newbyteorder("<").str
    return {"type": kind, "shape": array.shape, "data": base64.b64encode(array.astype(kind).tobytes()).decode()}


def _read(entry: Mapping[str, Any]) -> Any:
    if entry["type"] not in _TYPES:
        raise ValueError(f"an array of {entry['type']} is not one of its kinds")
    read = np.frombuffer(base64.b64decode(entry["data"]), entry["type"]).reshape(entry["shape"])
    return read.astype("f4") if entry["type"] == "<f2" else read


def _hash(content: Mapping[str, object]) -> str:
    return hashlib.sha256(orjson.dumps(content, option=_SORTED)).hexdigest()
