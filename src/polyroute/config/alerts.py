"""What an alert watches for, read from its words: `budget > 0.9`. Pure."""

from collections.abc import Iterator

from polyroute.config.document import Alert
from polyroute.errors import Problem

_BUDGET = "budget"
_FIX = "honoured here: `budget > SHARE`, as `budget > 0.9`"


def budget_share(condition: str) -> float | None:
    """The share of a budget from which on somebody is told; None for a condition about something else."""
    subject, sign, amount = condition.partition(">")
    if not sign or subject.strip() != _BUDGET:
        return None
    try:
        share = float(amount)
    except ValueError:
        return None
    return share if 0 < share <= 1 else None


def alert_problems(path: str, alert: Alert) -> Iterator[Problem]:
    if alert.use == "webhook" and alert.url is None:
        yield Problem(path=f"{path}.url", message="a webhook needs an address", fix="give `url: {env: NAME}`")
    if alert.use == "log" and alert.url is not None:
        yield Problem(path=f"{path}.url", message="the log has no address", fix="`use: webhook`, or remove it")
    if not alert.on:
        yield Problem(path=f"{path}.on", message="says nothing to tell of", fix=_FIX)
    for at, condition in enumerate(alert.on):
        if budget_share(condition) is not None:
            continue
        if condition.partition(">")[0].strip() == _BUDGET:
            message = f"`{condition}` names no share between 0 and 1"
        else:
            message = f"has no effect yet: this version tells nobody of `{condition}`"
        yield Problem(path=f"{path}.on[{at}]", message=message, fix=_FIX)
