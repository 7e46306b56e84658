"""Thinking that a server leaves in the text, between `<think>` and `</think>` at its head, told from the answer. Pure.

Models such as DeepSeek-R1 and Qwen write these tags themselves, and servers without a parser for them (Ollama before
0.9, vLLM by default, many hosts) pass them on. A text that holds them further on is about them, and left alone.
"""

from typing import Literal, NamedTuple

OPENING, CLOSING = "<think>", "</think>"


class Piece(NamedTuple):
    is_thinking: bool
    text: str


def split(text: str) -> list[Piece]:
    """A whole text; one that was cut while thinking is all thinking."""
    if not text.lstrip().startswith(OPENING):
        return [Piece(False, text)]
    thought, _, answer = text.lstrip()[len(OPENING) :].partition(CLOSING)
    pieces = (Piece(True, thought.strip("\n")), Piece(False, answer.lstrip("\n")))
    return [piece for piece in pieces if piece.text]


class Splitter:
    """The same for a text that comes in pieces: what may yet become a tag, or a line end beside one, is held back."""

    def __init__(self) -> None:
        self._held = ""
        self._stage: Literal["head", "opened", "thinking", "closed"] = "head"
        self.is_done = False  # from here on all is text: nothing more needs to come by

    def feed(self, text: str) -> list[Piece]:
        self._held += text
        if self._stage == "head":
            head = self._held.lstrip()
            if not head.startswith(OPENING):
                return [] if OPENING.startswith(head) else self.flush()
            self._stage, self._held = "opened", head[len(OPENING) :]
        return self._answer() if self._stage == "closed" else self._thought()

    def flush(self) -> list[Piece]:
        """What was held back, once nothing more comes."""
        held, self._held, self.is_done = self._held, "", True
        return [Piece(self._stage in ("opened", "thinking"), held)] if held else []

    def _thought(self) -> list[Piece]:
        if self._stage == "opened":
            self._held = self._held.lstrip("\n")
        thought, closed, answer = self._held.partition(CLOSING)
        if closed:
            self._stage, self._held = "closed", answer
            thought = thought.rstrip("\n")
            return ([Piece(True, thought)] if thought else []) + self._answer()
        safe = len(self._held) - _beginning_at_end(self._held)
        thought, self._held = self._held[:safe], self._held[safe:]
        if thought:
            self._stage = "thinking"
        return [Piece(True, thought)] if thought else []

    def _answer(self) -> list[Piece]:
        self._held = self._held.lstrip("\n")
        return self.flush() if self._held else []


def _beginning_at_end(text: str) -> int:
    """How many of the last characters may begin the closing tag; line ends before it go with it."""
    for length in range(min(len(CLOSING) - 1, len(text)), 0, -1):
        if CLOSING.startswith(text[-length:]):
            return length + len(text[:-length]) - len(text[:-length].rstrip("\n"))
    return len(text) - len(text.rstrip("\n"))
