"""Labelled texts as they are written: JSONL rows of `{text, label}`. Pure; finds all that is wrong, line by line."""

import msgspec
from msgspec import Struct

_SHOWN = 5  # faults told one by one


class Row(Struct, frozen=True):
    text: str
    label: str | None


class Read(Struct, frozen=True, kw_only=True):
    rows: tuple[Row, ...]
    faults: tuple[str, ...] = ()  # "line 3: …"


_ROW = msgspec.json.Decoder(Row)


def read_rows(data: bytes, out_of_scope: tuple[str, ...] = ()) -> Read:
    """Labels that mean no class become None. Blank lines are passed over."""
    rows: list[Row] = []
    faults: list[str] = []
    for number, line in enumerate(data.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = _ROW.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            faults.append(f"line {number}: {exc}")
            continue
        if not row.text.strip():
            faults.append(f"line {number}: `text` is empty")
        elif row.label is not None and not row.label.strip():
            faults.append(f"line {number}: `label` is empty; null means no class")
        else:
            rows.append(Row(row.text, None if row.label in out_of_scope else row.label))
    if len(faults) > _SHOWN:
        faults = [*faults[:_SHOWN], f"and {len(faults) - _SHOWN} more lines"]
    return Read(rows=tuple(rows), faults=tuple(faults))


def unlearnable(rows: tuple[Row, ...]) -> str | None:
    """Why nothing can be learned of these rows; None where it can."""
    classes = {row.label for row in rows if row.label is not None}
    if not classes:
        return "there is no row with a label"
    if len(classes) == 1:
        return f"there is one class only, `{next(iter(classes))}`: nothing can be told apart"
    return None
