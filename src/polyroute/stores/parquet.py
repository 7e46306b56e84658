"""The books as a Parquet file, one row per call, written in groups of rows as they come. Needs the extra `parquet`."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from polyroute.stores.rows import AttemptRow, RequestRow, from_micros
from polyroute.stores.verify import Entry
from polyroute.types.money import from_nanos

_GROUP = 20_000  # requests
_USD = pa.decimal128(27, 9)
_WHEN = pa.timestamp("us", tz="UTC")
_OF_REQUEST = {
    "request_id": pa.string(), "client_request_id": pa.string(), "time": _WHEN, "tenant": pa.string(),
    "team": pa.string(), "user": pa.string(), "key": pa.string(), "route": pa.string(), "state": pa.string(),
    "request_cost_usd": _USD, "saved_usd": _USD, "cache": pa.string(), "total_ms": pa.float64(),
}  # fmt: skip
_OF_ATTEMPT = {
    "number": pa.int32(), "deployment": pa.string(), "provider": pa.string(), "model": pa.string(),
    "upstream_model": pa.string(), "answered_model": pa.string(), "status": pa.string(), "error": pa.string(),
    "cost_usd": _USD, "input_tokens": pa.int64(), "cached_input_tokens": pa.int64(), "cache_write_tokens": pa.int64(),
    "cache_write_1h_tokens": pa.int64(), "output_tokens": pa.int64(), "reasoning_tokens": pa.int64(),
    "input_audio_tokens": pa.int64(), "output_audio_tokens": pa.int64(), "estimated": pa.bool_(),
    "first_token_ms": pa.float64(), "duration_ms": pa.float64(),
}  # fmt: skip
SCHEMA = pa.schema(list((_OF_REQUEST | _OF_ATTEMPT).items()))


def write_parquet(entries: Iterable[Entry], path: Path) -> None:
    """A request without a call is one row whose call is null."""
    source = iter(entries)
    with parquet.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        while some := list(islice(source, _GROUP)):
            rows = [(entry.request, attempt) for entry in some for attempt in entry.attempts or (None,)]
            columns: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
            for request, attempt in rows:
                for name, value in _row(request, attempt).items():
                    columns[name].append(value)
            writer.write_table(pa.table(columns, schema=SCHEMA))


def _row(request: RequestRow, attempt: AttemptRow | None) -> dict[str, Any]:
    own = {
        "request_id": request.id,
        "client_request_id": request.client_request_id,
        "time": from_micros(request.opened_us),
        "tenant": request.tenant,
        "team": request.team,
        "user": request.user,
        "key": request.key_id,
        "route": request.route,
        "state": request.state,
        "request_cost_usd": from_nanos(request.cost_nanos),
        "saved_usd": None if request.saved_nanos is None else from_nanos(request.saved_nanos),
        "cache": request.cache,
        "total_ms": request.total_ms,
    }
    if attempt is None:
        return {**own, **dict.fromkeys(_OF_ATTEMPT)}
    cost_usd = None if attempt.cost_nanos is None else from_nanos(attempt.cost_nanos)
    return {**own, **{name: getattr(attempt, name) for name in _OF_ATTEMPT if name != "cost_usd"}, "cost_usd": cost_usd}
