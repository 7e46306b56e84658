"""A drill as a page for people who were not there."""

from collections.abc import Sequence

from polyroute.cli.drill.figures import Outcome, Share
from polyroute.cli.drill.observed import Behaviour

_BAR = 40  # characters of a whole
COLUMNS = (
    "run", "answered", "p50 ms", "p95 ms", "p99 ms", "added p50", "added p95", "added p99", "attempts", "cost USD",
    "extra USD", "answered by",
)  # fmt: skip


def row(found: Outcome) -> tuple[str, ...]:
    unknown = "" if found.cost_complete else " + unknown"
    return (
        found.name,
        f"{found.success_share:.2%}",
        *(f"{value:,.0f}" for value in (found.p50_ms, found.p95_ms, found.p99_ms)),
        *(f"{value:+,.0f}" for value in (found.added_p50_ms, found.added_p95_ms, found.added_p99_ms)),
        f"{found.attempts_per_request:.2f}",
        f"{found.cost_usd:.4f}{unknown}",
        f"{found.extra_usd:+.4f}{unknown}",
        _shares(found.answered_by, found.answered),
    )


def page(title: str, outcomes: list[Outcome], behaviours: list[Behaviour], note: str) -> str:
    lines = [f"# {title}\n", f"**Simulated.** {note}\n", _table(COLUMNS, [row(found) for found in outcomes])]
    lines.append("## Answered\n\n```text")
    width = max(len(found.name) for found in outcomes)
    for found in outcomes:
        filled = round(found.success_share * _BAR)
        bar = "█" * filled + "░" * (_BAR - filled)
        lines.append(f"{found.name:<{width}}  {bar}  {found.success_share:.2%}")
    lines.append("```\n")
    if any(found.errors for found in outcomes):
        rows = [(found.name, _shares(found.errors, found.requests)) for found in outcomes if found.errors]
        lines += ["## Not answered\n", _table(("run", "why"), rows)]
    seen = [
        (
            b.deployment,
            str(b.calls) if b.calls else "none: assumed",
            f"{b.latency_ms:,.0f}",
            "-" if b.tokens_per_s is None else f"{b.tokens_per_s:,.0f}",
            f"{b.error_rate:.2%}",
        )
        for b in behaviours
    ]
    lines += ["## Deployments, as they were simulated\n"]
    lines.append(_table(("deployment", "calls seen", "latency ms", "tokens/s", "failing"), seen))
    return "\n".join(lines)


def _table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    head = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def _shares(shares: tuple[Share, ...], of: int) -> str:
    return ", ".join(f"{share.name} {share.requests / of:.0%}" for share in shares) or "nobody"
