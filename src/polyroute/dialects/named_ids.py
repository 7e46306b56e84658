"""What a request names by an id at its provider: files, stores of files, containers. Pure; it does not say whose it is.

All callers share the provider's account, where an id alone opens anybody's. Only fields that name something are read:
a tool's settings, and what a caller hands in; results of a provider's own tools hold ids that open nothing.
"""

from collections.abc import Iterator

from polyroute.types.request import Reference

_ONE = ("file_id", "container_id", "container", "ragCorpus", "rag_corpus", "datastore")
_MANY = ("file_ids", "vector_store_ids", "fileSearchStoreNames", "file_search_store_names")


def named_ids(value: object, at: str) -> Iterator[Reference]:
    """In the order of the text."""
    waiting = [(value, at)]
    while waiting:
        held, place = waiting.pop()
        if isinstance(held, list):
            waiting += [(item, f"{place}[{index}]") for index, item in reversed(list(enumerate(held)))]
        elif isinstance(held, dict):
            for name, inner in held.items():
                if name in _ONE and isinstance(inner, str):
                    yield Reference(id=inner, field=f"{place}.{name}")
                elif name in _MANY and isinstance(inner, list):
                    for index, one in enumerate(inner):
                        if isinstance(one, str):
                            yield Reference(id=one, field=f"{place}.{name}[{index}]")
            waiting += [(inner, f"{place}.{name}") for name, inner in reversed(held.items())]
