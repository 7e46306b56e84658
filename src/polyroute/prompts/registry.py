"""Every prompt that routes may name: the document's, and those managed while the gateway runs. Finds the version meant.

A name that the document declares is the document's alone. What another process changed is noticed with the first
request a second later; where the store cannot be read, what was known stays in force.
"""

import logging
from collections.abc import Mapping

from polyroute.errors import StoreError
from polyroute.ports import Monotonic, Records
from polyroute.prompts.compiled import Ready, compile_version
from polyroute.prompts.reference import parse_reference, resolve
from polyroute.prompts.shelf import Shelf
from polyroute.types.prompts import Kept, Prompt, Wordings

LOOK_S = 1.0

_log = logging.getLogger("polyroute.prompts")


class Registry:
    """Used from one event loop."""

    def __init__(self, declared: Mapping[str, Prompt], records: Records | None, monotonic: Monotonic) -> None:
        """`records`: None where nothing is managed."""
        self.declared = declared
        self._records = records
        self._shelf = None if records is None else Shelf(records)
        self._monotonic = monotonic
        self._looked_s: float | None = None
        self._generation = -1
        self._managed: dict[str, Kept] = {}
        self._found: dict[str, Ready] = {}  # by reference as written, until something changes

    def find(self, written: str) -> Ready:
        """`written` as a route may say it. Raises LookupError with what there is."""
        self._look()
        found = self._found.get(written)
        if found is not None:
            return found
        reference = parse_reference(written)
        versions, labels = self._of(reference.name)
        if not versions:
            raise LookupError(f"there is no prompt `{reference.name}`")
        number = resolve(reference, versions, labels)
        ready = self._found[written] = compile_version(reference.name, number, versions[number])
        return ready

    def refresh(self) -> None:
        """The next request looks at the store: something was changed just now."""
        self._looked_s = None

    def _of(self, name: str) -> tuple[dict[int, Wordings], Mapping[str, int]]:
        declared = self.declared.get(name)
        if declared is not None:
            return {int(number): wordings for number, wordings in declared.versions.items()}, declared.labels
        kept = self._managed.get(name)
        if kept is None:
            return {}, {}
        return {int(number): version.wordings for number, version in kept.versions.items()}, kept.labels

    def _look(self) -> None:
        """At the store, at most once a second, and deeper only where something changed there."""
        now_s = self._monotonic()
        if self._shelf is None or self._records is None:
            return
        if self._looked_s is not None and now_s - self._looked_s < LOOK_S:
            return
        self._looked_s = now_s
        try:
            generation = self._records.generation()
            if generation != self._generation:
                self._managed, self._generation = self._shelf.every(), generation
                self._found.clear()
        except StoreError as exc:
            _log.warning("managed prompts stay as they were known: %s", exc)
