"""What is known of a streamed answer only at its end, put into its last event."""

from collections.abc import Mapping

import orjson

from polyroute.dialects.openai_responses.shape import LAST_EVENT, UNREADABLE
from polyroute.dialects.sse import parse_event


def with_report(tail: bytes, report: Mapping[str, object]) -> bytes:
    """`tail` with `report` at the end of its answer, and no other byte changed; as it came where that cannot be."""
    try:
        answer = bytes(LAST_EVENT.decode(parse_event(tail)[1]).response).rstrip()
    except UNREADABLE:
        return tail
    at = tail.rfind(answer) + len(answer) - 1
    if not report or at < len(answer) or not answer.endswith(b"}"):
        return tail
    return tail[:at] + b',"polyroute":' + orjson.dumps(dict(report)) + tail[at:]
