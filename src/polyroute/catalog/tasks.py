"""The task policy pack: which complexity and which model qualities a kind of task wants, and how to hear it asked.

A pack is advice that strategies may follow; it never picks a model. The shipped one (`data/tasks.yaml`) restates what
the articles recommend, and a document may name its own file, which replaces it whole.
"""

from functools import cached_property
from pathlib import Path

import msgspec
from msgspec import Struct

from polyroute import phrases
from polyroute.catalog.files import read_mapping
from polyroute.errors import ConfigError, Problem
from polyroute.types.cards import ModelCard
from polyroute.types.routing import Complexity

DEFAULT_PACK = Path(__file__).parent / "data" / "tasks.yaml"
_BLANK_MARKS = {mark: " " for mark in range(128) if not chr(mark).isalnum()}
_HEARD = 2_000  # characters at each end of a text in which its task is looked for: people say it first or last


class Task(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    complexity: Complexity
    capabilities: frozenset[str] = frozenset()  # it cannot do without
    tags: tuple[str, ...] = ()  # what a fitting model is good for, dearest wish first
    phrases: tuple[str, ...] = ()  # lower case, from the beginning of a word; any, not negated, names the task
    about: str = ""


class TaskPack(Struct, frozen=True, dict=True):
    tasks: dict[str, Task]  # by label, in the order that settles ties

    def find(self, label: str) -> Task | None:
        return self.tasks.get(label)

    def detect(self, lowered: str) -> str | None:
        """The label of the task that a lower-cased text asks for first; None where it names none.

        "Summarize this code" wants a summary: the earliest phrase wins, and of two at one place the longer.
        """
        if len(lowered) > 2 * _HEARD:
            lowered = f"{lowered[:_HEARD]}\n{lowered[-_HEARD:]}"
        words = set(lowered.translate(_BLANK_MARKS).split())
        possible = dict(self._labels.get("", {}))
        for word in words & self._labels.keys():
            possible |= self._labels[word]
        heard = [hit for hit in phrases.find(lowered, possible) if not hit.negated]
        return possible[min(heard, key=lambda hit: (hit.start, -len(hit.phrase))).phrase] if heard else None

    @cached_property
    def _labels(self) -> dict[str, dict[str, str]]:
        """Phrase to label, by the phrase's first word: a text is searched for few. "" holds those without one."""
        found: dict[str, dict[str, str]] = {}
        for label, task in self.tasks.items():
            for phrase in task.phrases:
                words = phrase.translate(_BLANK_MARKS).split() if phrase.isascii() else []
                found.setdefault(words[0] if words else "", {}).setdefault(phrase, label)
        return found


def load(path: Path | None = None) -> TaskPack:
    """The pack in `path`, or the shipped one. Raises ConfigError with every wrong entry."""
    source = path or DEFAULT_PACK
    tasks: dict[str, Task] = {}
    problems: list[Problem] = []
    for label, entry in read_mapping(source).items():
        try:
            tasks[label] = task = msgspec.convert(entry, Task)
        except msgspec.ValidationError as exc:
            problems.append(Problem(path=label, message=str(exc), file=str(source)))
            continue
        for place, phrase in enumerate(task.phrases):
            if not phrase.strip() or phrase != phrase.lower():
                message = f"{phrase!r} is heard in no text: phrases are in lower case and not empty"
                problems.append(Problem(path=f"{label}.phrases[{place}]", message=message, file=str(source)))
    if problems:
        raise ConfigError(problems)
    return TaskPack(tasks=tasks)


def fitness(task: Task, card: ModelCard) -> float:
    """How well the card's tags meet the task's wishes: 0 (none) to 1 (all), earlier wishes weighing more."""
    weights = range(len(task.tags), 0, -1)
    met = sum(weight for weight, tag in zip(weights, task.tags, strict=True) if tag in card.tags)
    return met / sum(weights) if task.tags else 0.0
