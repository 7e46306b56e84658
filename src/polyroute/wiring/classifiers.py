"""The document's classifiers made ready to work, which of them a route looks at, and what is wrong with them."""

import time
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from polyroute.conditions import Condition, classes_in
from polyroute.config import document as settings
from polyroute.config.document import Document
from polyroute.config.load import Loaded
from polyroute.config.suggest import Vocabulary
from polyroute.embedders.weights import EXTRA, lacking
from polyroute.embedders.worker import Worker
from polyroute.errors import Problem
from polyroute.ports import ClassesTexts
from polyroute.stages.classification.local import LocalClassifier, Rows
from polyroute.stages.classification.rows import Row, read_rows, unlearnable

_NUMBERS = "numpy"


def local_classifiers(loaded: Loaded, worker: Worker) -> dict[str, LocalClassifier]:
    """By name. Nothing is learned before it is asked for."""
    return {
        name: _local(said, loaded.folder, worker)
        for name, said in loaded.document.classifiers.items()
        if not isinstance(said, settings.LlmClassifier)
    }


async def learned(document: Document, local: Mapping[str, ClassesTexts]) -> None:
    """Returns once those that routes look at have learned. Raises WorkerFailed."""
    for name in dict.fromkeys(name for route in document.routes.values() for name in classifiers_of(route)):
        if name in local:
            await local[name].classed_all(())


def _local(
    said: settings.ExamplesClassifier | settings.TrainedClassifier, folder: Path, worker: Worker
) -> LocalClassifier:
    if isinstance(said, settings.TrainedClassifier):
        kind, source = "trained", folder / said.artifact
        return LocalClassifier(kind, source, worker, timeout_s=said.timeout_s, monotonic=time.monotonic)
    rows = _rows(said, folder)
    learned = Rows(
        texts=tuple(row.text for row in rows),
        labels=tuple(row.label for row in rows),
        vectors=said.embeddings,
        rejects=said.rejects,
    )
    return LocalClassifier("examples", learned, worker, timeout_s=said.timeout_s, monotonic=time.monotonic)


def classifiers_of(route: settings.Route) -> tuple[str, ...]:
    """What its strategy looks at."""
    named = [name for condition in _conditions(route) for name in condition.class_]
    if isinstance(route.strategy, settings.Task) and route.strategy.classifier is not None:
        named.append(route.strategy.classifier)
    return tuple(dict.fromkeys(named))


def _conditions(route: settings.Route) -> list[Condition]:
    match route.strategy:
        case settings.Rules() as ruled:
            return [rule.when for rule in ruled.rules]
        case settings.Logic() as logic:
            return [answer.when for answer in logic.answers]
        case _:
            return []


def _rows(said: settings.ExamplesClassifier, folder: Path) -> tuple[Row, ...]:
    if said.file is not None:
        return read_rows((folder / said.file).read_bytes(), said.out_of_scope).rows
    return tuple(Row(text, name) for name, texts in said.classes.items() for text in texts)


# ── what is wrong ─────────────────────────────────────────────────────────────────────────────────────


def classifier_problems(document: Document, folder: Path) -> tuple[Problem, ...]:
    """With the classifiers, and with what routes say of their classes."""
    classes: dict[str, frozenset[str] | None] = {}  # None: not known
    problems = []
    for name, said in document.classifiers.items():
        path, found = f"classifiers.{name}", list[Problem]()
        classes[name] = _classes(said, path, folder, found)
        problems += found
    for name, route in document.routes.items():
        problems += _route_problems(f"routes.{name}.strategy", route, classes)
    return tuple(problems)


def _classes(said: settings.Classifier, path: str, folder: Path, problems: list[Problem]) -> frozenset[str] | None:
    """Its classes, where they can be known; what is wrong with it is added to `problems`."""
    match said:
        case settings.LlmClassifier():
            problems += _named_twice(said.classes, f"{path}.classes")
            return frozenset(said.classes)
        case settings.TrainedClassifier():
            return _of_artifact(said, path, folder, problems)
        case settings.ExamplesClassifier():
            problems += _needs(said.embeddings, path)
            return _of_examples(said, path, folder, problems)


def _named_twice(classes: tuple[str, ...] | dict[str, str], path: str) -> Iterator[Problem]:
    folded = [name.strip().casefold() for name in classes]
    if len(folded) < 2:
        yield Problem(path=path, message="names fewer than two classes: there is nothing to tell apart")
    if len(set(folded)) < len(folded):
        yield Problem(path=path, message="names a class twice, but for its case")
    if "" in folded or "none" in folded:
        yield Problem(path=path, message="`none` and the empty name mean no class", fix="give it another name")


def _needs(embeddings: bool | None, path: str) -> Iterator[Problem]:
    if find_spec(_NUMBERS) is None:
        yield Problem(path=f"{path}.use", message=f"learning needs {_NUMBERS}, which is not installed", fix=EXTRA)
    elif embeddings and (missing := lacking()):
        message = f"embeddings on this machine need {', '.join(missing)}, not installed"
        yield Problem(path=f"{path}.embeddings", message=message, fix=f"{EXTRA}; or `false`, by spelling alone")


def _of_examples(
    said: settings.ExamplesClassifier, path: str, folder: Path, problems: list[Problem]
) -> frozenset[str] | None:
    if said.file is not None and said.classes:
        problems.append(
            Problem(path=f"{path}.file", message="`classes` says the examples too", fix="keep one of the two")
        )
        return None
    if said.file is None and not said.classes:
        problems.append(Problem(path=path, message="has no examples", fix="give `classes: {NAME: [TEXTS]}` or `file`"))
        return None
    if said.file is None:
        for name, texts in said.classes.items():
            if not texts:
                problems.append(
                    Problem(path=f"{path}.classes.{name}", message="has no examples", fix="add some, or remove it")
                )
            for at, text in enumerate(texts):
                if not text.strip():
                    problems.append(Problem(path=f"{path}.classes.{name}[{at}]", message="is empty"))
        rows = _rows(said, folder)
        if len(said.classes) < 2:
            message = "there is one class only: nothing can be told apart"
            problems.append(Problem(path=f"{path}.classes", message=message, fix="add another class"))
        return frozenset(said.classes)
    try:
        read = read_rows((folder / said.file).read_bytes(), said.out_of_scope)
    except OSError as exc:
        message = f"{said.file} cannot be read: {exc.strerror}"
        problems.append(Problem(path=f"{path}.file", message=message, fix="relative to the document's folder"))
        return None
    fix = 'a row is {"text": "…", "label": "…"}'
    problems += [Problem(path=f"{path}.file", message=f"{said.file} {fault}", fix=fix) for fault in read.faults]
    if not read.faults and (why := unlearnable(read.rows)):
        problems.append(Problem(path=f"{path}.file", message=f"{said.file}: {why}", fix=fix))
    rows = read.rows
    return frozenset(row.label for row in rows if row.label is not None)


def _of_artifact(
    said: settings.TrainedClassifier, path: str, folder: Path, problems: list[Problem]
) -> frozenset[str] | None:
    if find_spec(_NUMBERS) is None:
        problems += _needs(None, path)
        return None
    load: Any = resolve_name("polyroute.stages.classification.artifact:load")
    try:
        learned, _ = load(folder / said.artifact)
    except OSError as exc:
        fix = "make it: polyroute classify --train ROWS --out FILE"
        message = f"{said.artifact} cannot be read: {exc.strerror}"
        problems.append(Problem(path=f"{path}.artifact", message=message, fix=fix))
        return None
    except ValueError as exc:
        fix = "make it anew: polyroute classify --train ROWS --out FILE"
        problems.append(Problem(path=f"{path}.artifact", message=str(exc), fix=fix))
        return None
    if learned.uses_vectors and (missing := lacking()):
        message = f"it was learned on embeddings, which need {', '.join(missing)}"
        problems.append(Problem(path=f"{path}.artifact", message=message, fix=EXTRA))
    return frozenset(learned.classes)


def _route_problems(path: str, route: settings.Route, classes: dict[str, frozenset[str] | None]) -> Iterator[Problem]:
    known, strategy = Vocabulary(sorted(classes)), route.strategy
    if isinstance(strategy, settings.Task) and strategy.classifier is not None:
        if strategy.classifier not in classes:
            message = f"there is no classifier `{strategy.classifier}`"
            yield Problem(path=f"{path}.classifier", message=message, fix=known.fix(strategy.classifier))
        return
    section = "rules" if isinstance(strategy, settings.Rules) else "answers"
    for at, condition in enumerate(_conditions(route)):
        for name, wanted in classes_in(condition).items():
            place = f"{path}.{section}[{at}].when.class.{name}"
            if name not in classes:
                yield Problem(path=place, message=f"there is no classifier `{name}`", fix=known.fix(name))
                continue
            of = classes[name]
            for label in wanted:
                if of is not None and label is not None and label not in of:
                    message = f"`{label}` is none of its classes"
                    yield Problem(path=place, message=message, fix=Vocabulary(sorted(of)).fix(label))
