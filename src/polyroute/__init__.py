"""Polyroute: a multi-model gateway and router.

`from polyroute import Gateway` is the Python door. Names are loaded when first asked for, so that importing the
package costs next to nothing.
"""

from pkgutil import resolve_name
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polyroute.calls import Outcome
    from polyroute.embedded import Completed, Gateway, TaskClient
    from polyroute.types.receipt import Receipt
    from polyroute.types.request import Request, ask
    from polyroute.types.response import Response

__version__ = "0.1.0"

_HOMES = {
    "Completed": "polyroute.embedded",
    "Gateway": "polyroute.embedded",
    "Outcome": "polyroute.calls",
    "Receipt": "polyroute.types.receipt",
    "Request": "polyroute.types.request",
    "Response": "polyroute.types.response",
    "TaskClient": "polyroute.embedded",
    "ask": "polyroute.types.request",
}

__all__ = ["Completed", "Gateway", "Outcome", "Receipt", "Request", "Response", "TaskClient", "__version__", "ask"]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'polyroute' has no attribute {name!r}")
    return resolve_name(f"{home}:{name}")
