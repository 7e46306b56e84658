"""The verb `review`: held answers listed, shown and decided on, in the store directly."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer

from polyroute.cli.keys import OPERATOR
from polyroute.cli.shell import ConfigOption, DebugOption, JsonOption, print_json, print_table, say, told
from polyroute.cli.store import open_records
from polyroute.errors import InvalidRequest
from polyroute.server.reviews import STATES, shown
from polyroute.state.reviews import Reviews
from polyroute.types.review import Decision, Review, ReviewState

review = typer.Typer(help="List held answers; approve, edit or reject one.", no_args_is_help=True)

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="As `review list` shows it.")]
ReasonOption = Annotated[str | None, typer.Option("--reason", help="Told to the caller where it is rejected.")]


@contextmanager
def _reviews(config: ConfigOption, debug: bool) -> Iterator[Reviews]:
    with told(debug=debug), open_records(config) as records:
        yield Reviews(records, lambda: datetime.now(UTC))


@review.command("list")
def list_reviews(
    state: Annotated[str, typer.Option(help="pending, approved, edited, rejected, expired or all.")] = "pending",
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Held answers, the oldest first."""
    with _reviews(config, debug) as reviews:
        found = reviews.every(OPERATOR, _state(state))
    if as_json:
        print_json(list(map(shown, found)))
    else:
        rows = [
            (r.id, r.state, r.route, r.user, f"{r.expires_at:%Y-%m-%d %H:%M}", r.asked[:60].replace("\n", " "))
            for r in found
        ]
        print_table(("id", "state", "route", "user", "until, UTC", "asked"), rows)


@review.command()
def show(
    review_id: IdArgument, config: ConfigOption = None, as_json: JsonOption = False, debug: DebugOption = False
) -> None:
    """The question and the answer."""
    with _reviews(config, debug) as reviews:
        _tell(reviews.find(OPERATOR, review_id), as_json)


@review.command()
def approve(
    review_id: IdArgument,
    reason: ReasonOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Give the answer out as it is."""
    _decide("approve", review_id, None, reason, config, as_json, debug)


@review.command()
def edit(
    review_id: IdArgument,
    text: Annotated[str, typer.Option("--text", help="The answer in place of the model's.")],
    reason: ReasonOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Give out other words."""
    _decide("edit", review_id, text, reason, config, as_json, debug)


@review.command()
def reject(
    review_id: IdArgument,
    reason: Annotated[str, typer.Option("--reason", help="Told to the caller.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Keep the answer back."""
    _decide("reject", review_id, None, reason, config, as_json, debug)


def _decide(
    decision: Decision,
    review_id: str,
    text: str | None,
    reason: str | None,
    config: ConfigOption,
    as_json: bool,
    debug: bool,
) -> None:
    with _reviews(config, debug) as reviews:
        decided = reviews.decide(OPERATOR, review_id, decision, text=text, reason=reason)
    if as_json:
        print_json(shown(decided))
    else:
        say(f"{decided.id} is {decided.state}")


def _tell(found: Review, as_json: bool) -> None:
    if as_json:
        print_json(shown(found))
        return
    say(f"{found.id}: {found.state}, until {found.expires_at:%Y-%m-%d %H:%M} UTC")
    say(f"route {found.route}, answered by {found.model}, asked by {found.user} of team {found.team}")
    say(f"\nasked\n-----\n{found.asked}\n\nanswer\n------\n{found.answer.text}")
    if found.decided_by:
        say(f"\n{found.state} by {found.decided_by}" + (f": {found.reason}" if found.reason else ""))


def _state(given: str) -> ReviewState | None:
    if given == "all":
        return None
    found = next((state for state in STATES if state == given), None)
    if found is None:
        raise InvalidRequest(f"--state must be {', '.join(STATES)} or all, got {given[:40]!r}", field="state")
    return found
