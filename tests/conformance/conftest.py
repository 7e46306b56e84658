"""The transports are checked on both event loops: asyncio's own, which tests use, and uvloop, which serves."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

_BOTH = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
_ASYNCIO = {"asyncio": asyncio.new_event_loop}


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return _BOTH if item.path.name == "test_transports.py" else _ASYNCIO
