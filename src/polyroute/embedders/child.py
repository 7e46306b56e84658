"""What a worker can be asked about vectors. The runtime is loaded when it is first needed."""

from functools import cache
from importlib import import_module
from typing import Any

from polyroute.embedders.answering import Answer, answer
from polyroute.embedders.weights import cache_folder


@cache
def runtime() -> Any:
    """Raises ImportError without the extra, OSError where the graph cannot be built."""
    return import_module("polyroute.embedders.runtime").MiniLM(cache_folder())


def embed(asked: dict[str, Any]) -> Answer:
    return {}, runtime().embed(asked["texts"]).tobytes()


if __name__ == "__main__":
    answer({"embed": embed})
