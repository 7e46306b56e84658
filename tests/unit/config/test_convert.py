"""All mistakes of a tree, and what is left without them."""

from pathlib import Path

import pytest

from polyroute.config.convert import convert, examine, shown, value_reader
from polyroute.config.sources import SecretReader
from polyroute.config.yaml12 import FromEnv

READ = value_reader(SecretReader(Path("/nowhere"), {}).read)


def test_what_is_left_can_be_used() -> None:
    tree = {"server": {"port": "x", "host": "::1"}, "routes": {"r": {"primary": "m", "typo": 1}, "s": 5}, "nothing": 1}
    examined = examine(tree, READ)
    document = convert(examined.rest, READ)
    assert (document.server.host, document.server.port) == ("::1", 4000)
    assert document.routes["r"].primary == "m"
    assert {problem.path for problem in examined.problems} == {"server.port", "routes.r.typo", "routes.s", "nothing"}


def test_places_in_shortened_lists_are_remembered() -> None:
    tree = {"keys": [{"name": 1}, {"name": "a", "key": "x", "models": [5, "m"]}]}
    examined = examine(tree, READ)
    assert examined.original("keys[0].name") == "keys[1].name"
    assert examined.original("keys[0].models[0]") == "keys[1].models[1]"
    assert examined.original("routes.r.primary") == "routes.r.primary"


def test_a_sound_tree_is_left_as_it_is() -> None:
    tree = {"models": {"m": "a/b"}, "limits": {"per_user_daily_usd": 5}}
    examined = examine(tree, READ)
    assert (examined.rest, examined.problems) == (tree, ())


def test_values_from_the_environment_are_shown_by_name() -> None:
    assert shown(FromEnv("secret", "${KEY}")) == "${KEY}"
    assert shown("x" * 500).endswith("…")
    values: list[object] = [None, True, [], {}, 5]
    assert [shown(value) for value in values] == ["nothing", "true", "a list", "a mapping", "5"]


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ({"hedge": {"max_share": 0.5}}, "must be a number of more than 0 and at most 0.05, got 0.5"),
        ({"hedge": {"after_ms": 0}}, "must be a number of more than 0, got 0"),
        ({"strategy": {"use": "learned", "artifact": "a", "models": ["m"]}}, "has 1 of at least 2 entries"),
        ({"strategy": {"use": "learned", "artifact": "a", "models": []}}, "is empty: it needs at least 2 entries"),
        ({"strategy": {"use": "cascade", "models": []}}, "is empty: it needs at least one entry"),
    ],
)
def test_bounds_are_told_whole(route: dict[str, object], said: str) -> None:
    (problem,) = examine({"routes": {"r": route}}, READ).problems
    assert problem.message == said
