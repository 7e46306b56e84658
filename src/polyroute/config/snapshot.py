"""A document as a running gateway holds it: unchanging, and known by the hash of its content."""

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Self

import msgspec
import orjson
from msgspec import Struct

from polyroute.config.document import Document
from polyroute.config.secret import Secret

_SHOWN = 12  # hex digits


class Snapshot(Struct, frozen=True, kw_only=True):
    """`digest` is the policy that receipts name: what was decided was decided under this document."""

    document: Document
    digest: str

    @classmethod
    def of(cls, document: Document) -> Self:
        return cls(document=document, digest=content_hash(document))


def content_hash(document: Document) -> str:
    """The first 12 hex digits of SHA-256 over the document's values.

    Comments, layout, the order of keys, includes and ways of writing a number do not count. A secret counts by the
    name it is read under, so that rotating one changes no policy.
    """
    return _digest(builtins_of(document))


def layered_hash(digest: str, layer: Mapping[str, object]) -> str:
    """Of a document with something laid over it."""
    return _digest([digest, builtins_of(layer)])


def builtins_of(value: object) -> object:
    """As plain values; a secret as the name it is read under."""
    return msgspec.to_builtins(value, builtin_types=(Decimal,), enc_hook=_builtin)


def _digest(values: object) -> str:
    canonical = orjson.dumps(values, default=_json, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(canonical).hexdigest()[:_SHOWN]


def _builtin(value: object) -> object:
    if isinstance(value, Secret):
        return {"secret": value.name}
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, str):
        return str(value)
    raise NotImplementedError(type(value))


def _json(value: object) -> object:
    if isinstance(value, Decimal):
        return str(value.normalize())
    raise TypeError(type(value))
