import pytest
from msgspec.structs import replace
from tests.unit.rig import a_route, deployment

from polyroute.errors import UnknownModel
from polyroute.stages.route import Routes

SUPPORT, SMALL, AUTO = (replace(a_route(deployment("m")), name=name) for name in ("support", "small", "auto"))
ROUTES = Routes({"support": SUPPORT}, {"small": SMALL, "p/small": SMALL}, "support")


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("support", "support"),
        ("polyroute/support", "support"),
        ("auto", "support"),
        ("polyroute/auto", "support"),
        ("small", "small"),
        ("p/small", "small"),
    ],
)
def test_a_name_finds_its_route(asked: str, found: str) -> None:
    assert ROUTES.find(asked).name == found


@pytest.mark.parametrize(
    "asked", ["", "Support", "support ", "polyroute/", "polyroute/p/smal", "x" * 100_000, "auto:x"]
)
def test_any_other_name_is_unknown(asked: str) -> None:
    with pytest.raises(UnknownModel) as caught:
        ROUTES.find(asked)
    assert len(caught.value.message) < 400


def test_a_route_called_auto_is_the_default() -> None:
    assert Routes({"support": SUPPORT, "auto": AUTO}, {}, "support").find("auto").name == "auto"


def test_without_routes_there_is_no_default() -> None:
    with pytest.raises(UnknownModel):
        Routes({}, {"small": SMALL}, None).find("auto")


def test_names_are_routes_first_and_each_once() -> None:
    assert Routes({"a": SUPPORT}, {"a": SMALL, "b": SMALL}, None).names == ("a", "b")
    assert ROUTES.is_route("support")
    assert not ROUTES.is_route("small")
