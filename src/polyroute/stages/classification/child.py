"""What the process of classifiers can be asked: vectors, to learn from labelled texts, and to class texts.

Learning is done once for the same rows: what was learned lies in the cache folder, by the hash of what it was made of.
"""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from polyroute.embedders.answering import Answer, answer
from polyroute.embedders.child import embed, runtime
from polyroute.embedders.weights import GRAPH, cache_folder, lacking
from polyroute.stages.classification.artifact import FORMAT, load, save
from polyroute.stages.classification.learned import Learned, Lesson, learn, words_of

_BACKGROUND = Path(__file__).parent / "data" / "background.txt"
_AT_HAND = 16  # classifiers in memory


def learn_rows(asked: dict[str, Any]) -> Answer:
    """`texts`, `labels` (null: of no class) and options; `into` names the file, else one of the cache folder."""
    with_vectors = asked["vectors"] if asked["vectors"] is not None else not lacking()
    background = _BACKGROUND.read_text("utf-8").splitlines()
    made_of = [FORMAT, GRAPH if with_vectors else None, background, asked["rejects"], asked["form"]]
    made_of += [asked["texts"], asked["labels"]]
    digest = hashlib.sha256(orjson.dumps(made_of)).hexdigest()
    file = Path(asked["into"] or cache_folder() / f"classifier-{digest[:24]}.json")
    if asked["into"] is None and file.exists():
        try:
            load(file)
        except ValueError:
            file.unlink()
        else:
            return {"file": str(file)}, b""
    rows = list(zip(asked["texts"], asked["labels"], strict=True))
    inside = [(text, label) for text, label in rows if label is not None]
    outside = tuple(text for text, label in rows if label is None)
    texts = tuple(text for text, _ in inside)
    lesson = Lesson(
        texts=texts,
        labels=tuple(label for _, label in inside),
        outside=outside,
        background=tuple(background) if asked["rejects"] else (),
        vectors=_vectors(texts) if with_vectors else None,
        name_vectors=_vectors(tuple(map(words_of, sorted({label for _, label in inside})))) if with_vectors else None,
        outside_vectors=_vectors(outside) if with_vectors else None,
        background_vectors=_vectors(background) if with_vectors and asked["rejects"] else None,
        uses_form=asked["form"],
        rejects=asked["rejects"],
    )
    learned = learn(lesson)
    counts = {name: lesson.labels.count(name) for name in learned.classes}
    count, right = learned.held_out
    told = {"rows": counts, "outside": len(outside), "data_sha256": digest, "held_out": {"n": count, "right": right}}
    save(learned, told, file)
    return {"file": str(file)}, b""


def classify(asked: dict[str, Any]) -> Answer:
    """`texts` by the classifier in `file`."""
    path = Path(asked["file"])
    learned, version = _at_hand(path, path.stat().st_mtime_ns)
    vectors = _vectors(asked["texts"]) if learned.uses_vectors else None
    return {"classed": learned.classed(asked["texts"], vectors), "version": version}, b""


def inspect(asked: dict[str, Any]) -> Answer:
    """What a classifier's file says of itself."""
    _, told = load(Path(asked["file"]))
    return {"told": told}, b""


def _vectors(texts: Any) -> Any:
    return runtime().embed(texts) if len(texts) else np.zeros((0, 384), "f4")


@lru_cache(maxsize=_AT_HAND)
def _at_hand(file: Path, _written_ns: int) -> tuple[Learned, str]:
    learned, told = load(file)
    return learned, told["sha256"][:12]


if __name__ == "__main__":
    answer({"embed": embed, "learn": learn_rows, "classify": classify, "inspect": inspect})
