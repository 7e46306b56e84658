"""One reading of a JSON body, or a refusal: valid UTF-8, no duplicate keys, bounded depth, finite numbers.

Two parsers that disagree about a document are a hole, so what is ambiguous is refused (RFC 8259, section 4, leaves
duplicate keys open). orjson is fast and keeps the last of two equal keys without a word; whether any was dropped is
seen by counting: the quotes that close a key against the keys that arrived. Only where the count is in doubt, as when
strings hold JSON themselves, is the body parsed a second time with every pair in sight.
"""

import json

import orjson

from polyroute.errors import InvalidRequest

MAX_DEPTH = 64


def loads(raw: bytes) -> dict[str, object]:
    """The body as an object. Raises InvalidRequest."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        if not raw.strip():
            raise InvalidRequest("the body is empty: send a JSON object", code="invalid_json") from None
        raise InvalidRequest(f"the body is not valid JSON: {exc}", code="invalid_json") from None
    if type(value) is not dict:
        raise InvalidRequest("the body must be a JSON object", code="invalid_json")
    if _count_keys(value) != _count_key_ends(raw):
        _refuse_duplicates(raw)
    return value


def _count_keys(value: dict[str, object]) -> int:
    keys = 0
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        below: list[object] = []
        for item in level:
            if type(item) is dict:
                keys += len(item)
                below += [inner for inner in item.values() if type(inner) is dict or type(inner) is list]
            elif type(item) is list:
                below += [inner for inner in item if type(inner) is dict or type(inner) is list]
        if not below:
            return keys
        level = below
    raise InvalidRequest(f"the body is nested deeper than {MAX_DEPTH} levels", code="invalid_json")


def _count_key_ends(raw: bytes) -> int:
    """Quotes before colons, escaped ones left out; -1 where spacing or escapes make the count unsure."""
    if b'" :' in raw or b'"\t:' in raw or b'"\n:' in raw or b'"\r:' in raw:
        return -1
    if b"\\" not in raw:
        return raw.count(b'":')
    return -1 if b'\\\\"' in raw else raw.count(b'":') - raw.count(b'\\":')


def _refuse_duplicates(raw: bytes) -> None:
    def once(pairs: list[tuple[str, object]]) -> None:
        if len({key for key, _ in pairs}) < len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    raise InvalidRequest(f"the key `{key[:80]}` appears twice in one object", field=key[:80])
                seen.add(key)

    json.loads(raw, object_pairs_hook=once)
