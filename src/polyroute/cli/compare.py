"""The verb `compare`: side by side. The arms of a split, from the books."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from polyroute.cli.moments import moment
from polyroute.cli.shell import ConfigOption, DebugOption, JsonOption, print_json, told
from polyroute.cli.trials import show as show_trial
from polyroute.cli.trials import trial
from polyroute.learning.trial import Metric

_EVER = datetime(1970, 1, 1, tzinfo=UTC)


def compare(
    split: Annotated[
        str, typer.Option(help="A route with `strategy: split`: its arms, from the books.", metavar="ROUTE")
    ],
    since: Annotated[
        str | None, typer.Option(help="With --split: requests of the last 24h, 7d, … or since a date.", metavar="WHEN")
    ] = None,
    by: Annotated[Metric, typer.Option(help="With --split: what decides which arm is better.")] = "score",
    margin: Annotated[
        float | None, typer.Option(min=0, help="With --split: stop too where no two arms differ by more than this.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show models or the arms of a split side by side: quality, cost, latency."""
    start = _EVER if since is None else moment(since)
    with told(debug=debug):
        found = trial(split, config, since=start, by=by, margin=margin)
    if as_json:
        print_json(found)
    else:
        show_trial(found)
