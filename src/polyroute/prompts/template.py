"""A template: text with `{{name}}` in it. No code, no conditions, no nesting; a value is never looked into again.

`\\{{` is two braces. Any other `{{` must open a variable's name, so that a misspelt one is found before it is sent.
The form is Mustache's, without its logic: https://mustache.github.io/mustache.5.html
"""

from collections.abc import Mapping

from msgspec import Struct

_OPEN, _CLOSE, _ESCAPE = "{{", "}}", "\\"


class Template(Struct, frozen=True, kw_only=True):
    """`pieces` alternate between text and a variable's name, beginning and ending with text."""

    pieces: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.pieces[1::2]))

    def render(self, values: Mapping[str, str]) -> str:
        """Every name must have its value."""
        pieces = self.pieces
        return "".join(values[piece] if at % 2 else piece for at, piece in enumerate(pieces))


def parse_template(text: str) -> Template:
    """Raises ValueError with what is wrong, for people."""
    pieces: list[str] = []
    before = ""
    head, opened, rest = text.partition(_OPEN)
    while opened:
        if head.endswith(_ESCAPE):
            before += head[: -len(_ESCAPE)] + _OPEN
        else:
            name, closed, rest = rest.partition(_CLOSE)
            name = name.strip()
            if not closed or not is_name(name):
                shown = name.partition("\n")[0][:40]
                raise ValueError(
                    f"`{{{{{shown}` opens no variable: write {{{{name}}}} (letters, digits, _) or \\{{{{ for two braces"
                )
            pieces += (before + head, name)
            before = ""
        head, opened, rest = rest.partition(_OPEN)
    return Template(pieces=(*pieces, before + head))


def is_name(name: str) -> bool:
    """Whether a variable may be called so."""
    return name.isascii() and name.isidentifier() and len(name) <= 64
