"""When a verb's `--since` begins."""

from datetime import UTC, datetime, timedelta

import typer

from polyroute.config.durations import Duration


def moment(since: str) -> datetime:
    """A span of time back from now, or a date. Raises BadParameter."""
    try:
        return datetime.now(UTC) - timedelta(seconds=Duration.read(since))
    except (ValueError, OverflowError):
        pass
    try:
        at = datetime.fromisoformat(since)
    except ValueError:
        raise typer.BadParameter(f"`--since {since}` is neither a span (24h, 7d) nor a date (2026-01-31)") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
