"""This database's queries, and one of them for many rows."""

from functools import lru_cache
from pathlib import Path

from polyroute.stores.queries import Queries, read_queries


@lru_cache(maxsize=256)
def for_rows(insert: str, rows: int) -> str:
    """`insert` for so many rows in one statement: its placeholders, repeated."""
    head, values, tail = insert.partition("VALUES ")
    group, closing, rest = tail.partition(")")
    return head + values + ", ".join([group + closing] * rows) + rest


def load_queries() -> Queries:
    return read_queries(Path(__file__).parent)
