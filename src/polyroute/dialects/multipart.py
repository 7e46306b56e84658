"""Uploads: `multipart/form-data` read strictly and within bounds, and written again with the bytes it came with.

Source: RFC 7578 and RFC 2046, section 5.1. Lines end with CRLF, every part names its field, the closing delimiter is
there, and a field comes once unless its name ends with `[]`. What is ambiguous is refused: two parsers that disagree
about an upload are a hole.
"""

from collections.abc import Iterable

from msgspec import Struct

from polyroute.dialects.fields import integer, wrong
from polyroute.errors import InvalidRequest

MEDIA_TYPE = "multipart/form-data"
FORM = MEDIA_TYPE  # where `Wire.body` keeps an upload; no field of one can be called so
_TRUE = {"true": True, "1": True, "false": False, "0": False}
_MAX_PARTS = 100
_MAX_HEAD_BYTES = 4_096  # of one part
_MAX_FIELD_BYTES = 200_000  # of a field that is no file
_MAX_BOUNDARY = 70  # RFC 2046, 5.1.1
_BOUNDARY_CHARS = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'()+_,-./:=? ")


class Part(Struct, frozen=True, kw_only=True):
    name: str
    head: bytes  # its header lines, as they came
    content: bytes
    filename: str | None = None  # None: a plain field
    media_type: str = ""


class Form(Struct, frozen=True, kw_only=True):
    boundary: bytes
    parts: tuple[Part, ...]

    @property
    def media_type(self) -> str:
        return f'{MEDIA_TYPE}; boundary="{self.boundary.decode()}"'

    def encode(self, parts: Iterable[Part]) -> bytes:
        """`parts` with this form's boundary. All of its own give the bytes that were read."""
        lines: list[bytes] = []
        for part in parts:
            lines += (b"--", self.boundary, b"\r\n", part.head, b"\r\n\r\n", part.content, b"\r\n")
        return b"".join((*lines, b"--", self.boundary, b"--\r\n"))


def read_form(body: bytes, content_type: str) -> Form:
    """Raises InvalidRequest, which names the field where one is at fault."""
    boundary = _boundary(content_type)
    delimiter = b"\r\n--" + boundary
    if not body.startswith(delimiter[2:]):
        raise _broken("it does not begin with its boundary")
    parts: list[Part] = []
    at = len(delimiter) - 2
    while not body.startswith(b"--", at):
        if not body.startswith(b"\r\n", at):
            raise _broken("a boundary is followed by neither a line's end nor the form's")
        head_end = body.find(b"\r\n\r\n", at + 2, at + 2 + _MAX_HEAD_BYTES)
        end = body.find(delimiter, head_end + 4) if head_end >= 0 else -1
        if head_end < 0:
            raise _broken(f"part {len(parts) + 1} has no end of its headers within {_MAX_HEAD_BYTES} bytes")
        if end < 0:
            raise _broken(f"part {len(parts) + 1} has no end: the closing boundary is missing")
        parts.append(_part(body[at + 2 : head_end], body[head_end + 4 : end], len(parts)))
        if len(parts) > _MAX_PARTS:
            raise _broken(f"it has more than {_MAX_PARTS} parts")
        at = end + len(delimiter)
    if body[at + 2 :].strip():
        raise _broken("something follows its closing boundary")
    names = [part.name for part in parts if not part.name.endswith("[]")]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidRequest(f"the field `{twice}` is given more than once", field=twice, code="duplicate_field")
    return Form(boundary=boundary, parts=tuple(parts))


def fields_of(form: Form) -> dict[str, object]:
    """Plain fields by name: a text, or all of them where the name ends with `[]`. Raises InvalidRequest."""
    fields: dict[str, object] = {}
    for part in form.parts:
        if part.filename is not None:
            continue
        if len(part.content) > _MAX_FIELD_BYTES:
            raise InvalidRequest(
                f"`{part.name}` must be at most {_MAX_FIELD_BYTES} bytes long", field=part.name, code="out_of_range"
            )
        try:
            text = part.content.decode()
        except UnicodeDecodeError:
            raise InvalidRequest(f"`{part.name}` must be text in UTF-8", field=part.name, code="invalid_type") from None
        if part.name.endswith("[]"):
            several = fields.setdefault(part.name, [])
            assert isinstance(several, list)  # made here
            several.append(text)
        else:
            fields[part.name] = text
    return fields


def flag(value: object, at: str) -> bool:
    """As a form writes it, or JSON."""
    if type(value) is bool:
        return value
    said = _TRUE.get(value.lower()) if isinstance(value, str) else None
    return wrong(at, "`true` or `false`", value) if said is None else said


def count(value: object, at: str, low: int, high: int) -> int:
    """Likewise, a whole number; both ends are inclusive."""
    is_digits = isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20
    return integer(int(str(value)) if is_digits else value, at, low, high)


def _boundary(content_type: str) -> bytes:
    kind, parameters = _parameters(content_type)
    boundary = parameters.get("boundary", "")
    if kind != MEDIA_TYPE:
        raise InvalidRequest(f"the content-type must be {MEDIA_TYPE}, got `{kind[:60]}`", code="invalid_content_type")
    if not 0 < len(boundary) <= _MAX_BOUNDARY or not _BOUNDARY_CHARS.issuperset(boundary) or boundary.endswith(" "):
        raise _broken("its content-type names no proper boundary")
    return boundary.encode()


def _part(head: bytes, content: bytes, number: int) -> Part:
    found: dict[str, str] = {}
    try:
        lines = head.decode().split("\r\n")
    except UnicodeDecodeError:
        raise _broken(f"the headers of part {number + 1} are no text in UTF-8") from None
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or name.lower() in found or "\n" in line or "\0" in line:
            raise _broken(f"part {number + 1} has a header that cannot be read")
        found[name.lower()] = value.strip()
    kind, parameters = _parameters(found.get("content-disposition", ""))
    name = parameters.get("name", "")
    if kind != "form-data" or not name:
        raise _broken(f"part {number + 1} names no field")
    if found.get("content-transfer-encoding", "binary").lower() not in ("binary", "8bit", "7bit"):
        raise InvalidRequest(f"`{name}` must be sent as it is, without a transfer encoding", field=name)
    return Part(
        name=name,
        head=head,
        content=content,
        filename=parameters.get("filename", parameters.get("filename*")),
        media_type=found.get("content-type", ""),
    )


def _parameters(value: str) -> tuple[str, dict[str, str]]:
    """A header's value and its parameters, quoted or not. Of two equal names it takes neither side."""
    kind, _, rest = value.partition(";")
    found: dict[str, str] = {}
    while rest:
        name, _, rest = rest.partition("=")
        name, rest = name.strip().lower(), rest.lstrip()
        if rest.startswith('"'):
            text, at = [], 1
            while at < len(rest) and rest[at] != '"':
                at += rest[at] == "\\" and rest[at + 1 : at + 2] in ('"', "\\")
                text.append(rest[at : at + 1])
                at += 1
            given, rest = "".join(text), rest[at + 1 :].partition(";")[2]
        else:
            given, _, rest = rest.partition(";")
            given = given.strip()
        if name in found:
            raise _broken(f"`{name[:40]}` stands twice in one header")
        found[name] = given
    return kind.strip().lower(), found


def _broken(why: str) -> InvalidRequest:
    return InvalidRequest(f"the upload is no proper {MEDIA_TYPE}: {why}", code="invalid_multipart")
