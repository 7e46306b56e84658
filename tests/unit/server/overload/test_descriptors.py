"""Connections that may be open."""

import pytest

from polyroute.server.overload.descriptors import connections


@pytest.mark.parametrize(
    ("descriptors", "open_at_once"),
    [
        pytest.param(1024, 412, id="each may need two"),
        pytest.param(100, 64, id="a few always"),
    ],
)
def test_callers_leave_descriptors_for_providers(descriptors: int, open_at_once: int) -> None:
    assert connections(descriptors) == open_at_once
