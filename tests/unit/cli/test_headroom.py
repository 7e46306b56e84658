from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from polyroute.cli.headroom import Ceiling, Machine, headroom
from polyroute.config.document import Document
from polyroute.config.load import reads
from polyroute.stores.rows import AttemptRow, RequestRow
from polyroute.stores.verify import Entry

MINUTE_US, DAY_US = 60_000_000, 86_400_000_000
MACHINE = Machine(connections=10_000, descriptors=1024)
MODELS = """
providers: {{one: {{dialect: simulated{provider}}}, two: {{dialect: simulated}}}}
models: {{small: {{provider: one{model}}}}}
keys: [{{name: ci, key: "k-1"{key}}}]
{rest}
"""


def document(*, provider: str = "", model: str = "", key: str = "", rest: str = "") -> Document:
    text = MODELS.format(provider=provider, model=model, key=key, rest=rest)
    return reads(text, {}, folder=Path("/nowhere")).document


def entry(at_us: int, *, usd: str = "0", tokens: int = 100, took_ms: float = 1000, **more: Any) -> Entry:
    nanos = int(Decimal(usd) * 1_000_000_000)
    name = f"r{at_us}"
    request = RequestRow(
        name, None, at_us, at_us, "default", "blue", "ann", "ci", "small", "policy", "settled", 0, nanos, True, None,
        None, None, "small", "one", "miss", took_ms, 0.5,
    )  # fmt: skip
    attempt = AttemptRow(
        name, f"{name}a", 0, "small@one", "one", "small", "small", None, "succeeded", None, more.get("status"), nanos,
        tokens, None, None, None, 0, None, None, None, False, 0.0, None, took_ms,
    )  # fmt: skip
    return Entry(request=request, attempts=(attempt,), receipt=None)


def a_minute(count: int, **more: Any) -> list[Entry]:
    return [entry(number * (MINUTE_US // count), **more) for number in range(count)]


def of(found: list[Ceiling], what: str) -> Ceiling:
    return next(ceiling for ceiling in found if ceiling.what == what)


@pytest.mark.parametrize(
    ("said", "what", "entries", "multiple"),
    [
        pytest.param({"provider": ", limits: {per_minute: 40}"}, "provider one", a_minute(20), 2, id="quota"),
        pytest.param(
            {"provider": ", limits: {tokens_per_minute: 6000}"}, "provider one", a_minute(20), 3, id="tokens of a quota"
        ),
        pytest.param(
            {"provider": ", limits: {parallel: 4}"}, "provider one", a_minute(30, took_ms=3000), 2, id="calls at once"
        ),
        pytest.param({"model": ", limits: {per_minute: 30}"}, "model small", a_minute(20), 1.5, id="model"),
        pytest.param({"key": ", limits: {per_minute: 50}"}, "key ci", a_minute(20), 2.5, id="key"),
        pytest.param({"rest": "limits: {per_user_per_minute: 80}"}, "user ann", a_minute(20), 4, id="user"),
        pytest.param(
            {"rest": "limits: {per_team_daily_usd: 5}"},
            "team blue: daily budget",
            [entry(0, usd="0.5"), entry(DAY_US, usd="2")],
            2.5,
            id="the dearest day counts",
        ),
        pytest.param(
            {"rest": "limits: {per_team_monthly_usd: 75}"},
            "team blue: monthly budget",
            [entry(0, usd="0.5"), entry(DAY_US, usd="2")],
            2,
            id="a month is thirty days on average",
        ),
    ],
)
def test_a_ceiling_is_set_against_the_busiest_moment(
    said: dict[str, str], what: str, entries: list[Entry], multiple: float
) -> None:
    assert of(headroom(document(**said), entries, MACHINE), what).multiple == multiple


def test_what_gives_way_first_comes_first_and_the_unknown_last() -> None:
    found = headroom(document(rest="limits: {per_user_per_minute: 80}"), a_minute(20), MACHINE)
    assert found[0].what == "user ann"
    assert found[-1].what == "provider one: its own quota"
    assert found[-1].multiple is None


def test_a_provider_that_refused_already_is_at_its_ceiling() -> None:
    found = headroom(document(), a_minute(20, status=429), MACHINE)
    assert found[0].what == "provider one: its own quota"
    assert found[0].multiple == 1


def test_the_disk_is_reckoned_in_days() -> None:
    machine = Machine(connections=10_000, descriptors=1024, store_bytes=20_000_000, free_bytes=1_200_000_000)
    disk = of(headroom(document(), a_minute(20), machine), "disk of the store")
    assert (disk.peak, disk.multiple) == ("20.0 MB a day", 2)


def test_without_requests_nothing_can_be_told() -> None:
    assert headroom(document(), [], MACHINE) == []
