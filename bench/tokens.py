"""`tokens`: how far input estimates lie from what providers counted, by family of models. Nothing is timed."""

from __future__ import annotations

from collections import defaultdict

from bench.counting import errors
from bench.recordings import Counted, counted
from bench.report import Section, table
from polyroute.catalog.counting import family_of

_HEAD = ("family", "n", "middle error", "half within", "nine tenths within", "n from 100 tokens", "half", "nine tenths")


def tokens() -> Section:
    by_family: dict[str, list[Counted]] = defaultdict(list)
    over = checked = 0
    for one in counted():
        checked += 1
        over += one.billed > one.size.upper_bound()
        family = family_of(one.model)
        if not one.has_media and (one.is_held_out or family is None):
            by_family["all"].append(one)
            by_family["any other" if family is None else family.name].append(one)
    rows = []
    for name, ones in sorted(by_family.items()):
        found = errors([one.size.estimate_for(one.model) for one in ones], [one.billed for one in ones])
        long = ("-", "-") if found.median_100 is None or found.p90_100 is None else (found.median_100, found.p90_100)
        shares = (found.bias, found.median, found.p90)
        rows.append((name, str(found.n), *map(_percent, shares), str(found.n_100), *map(_percent, long)))
    return Section(
        name="tokens",
        title="Input tokens: estimates against recorded usage",
        n="as listed; recordings of scenarios that nothing was fitted on",
        text=table(_HEAD, rows)
        + f"\nBilled above the bound that reservations hold: {over} of {checked}, those with media among them.\n",
        figures={"tokens": rows, "over": over, "checked": checked},
    )


def _percent(share: float | str) -> str:
    return share if isinstance(share, str) else f"{100 * share:+.0f} %" if share < 0 else f"{100 * share:.0f} %"
