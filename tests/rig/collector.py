"""An OpenTelemetry collector: takes OTLP over HTTP and reads it with OpenTelemetry's own generated classes."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from tests.journeys.upstream import Heard, Upstream, upstream

_IDS = ("traceId", "spanId", "parentSpanId")


class Collector:
    def __init__(self, taken: Upstream) -> None:
        self.taken = taken

    @property
    def url(self) -> str:
        return self.taken.url

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for heard in self._heard("/v1/traces")
            for of_resource in read_traces(heard.body, heard.headers["content-type"]).resource_spans
            for scoped in of_resource.scope_spans
            for span in scoped.spans
        ]

    @property
    def metrics(self) -> dict[str, Metric]:
        """As last told."""
        return {
            metric.name: metric
            for heard in self._heard("/v1/metrics")
            for of_resource in read_metrics(heard.body, heard.headers["content-type"]).resource_metrics
            for scoped in of_resource.scope_metrics
            for metric in scoped.metrics
        }

    def _heard(self, path: str) -> Iterator[Heard]:
        return (heard for heard in self.taken.log if heard.path == path)


@asynccontextmanager
async def collector() -> AsyncIterator[Collector]:
    async with upstream() as taken:
        yield Collector(taken)


def read_traces(body: bytes, kind: str) -> ExportTraceServiceRequest:
    message = ExportTraceServiceRequest()
    _read(message, body, kind)
    return message


def read_metrics(body: bytes, kind: str) -> ExportMetricsServiceRequest:
    message = ExportMetricsServiceRequest()
    _read(message, body, kind)
    return message


def _read(message: Any, body: bytes, kind: str) -> None:
    if kind == "application/x-protobuf":
        message.ParseFromString(body)
        return
    assert kind == "application/json", kind
    from_json(message, orjson.loads(body))


def from_json(message: Any, written: Mapping[str, Any]) -> None:
    """OTLP's JSON into the class itself; an unknown name raises. Ids are hexadecimal, not base64."""
    by_name = {field.json_name: field for field in message.DESCRIPTOR.fields}
    for name, value in written.items():
        field = by_name[name]
        is_list = isinstance(value, list)
        if field.message_type is None:
            plain = [_plain(name, field, item) for item in (value if is_list else [value])]
            if is_list:
                getattr(message, field.name).extend(plain)
            else:
                setattr(message, field.name, plain[0])
            continue
        for item in value if is_list else [value]:
            inner = getattr(message, field.name)
            inner = inner.add() if is_list else inner
            inner.SetInParent()
            from_json(inner, item)


def _plain(name: str, field: Any, value: Any) -> Any:
    if name in _IDS:
        return bytes.fromhex(value)
    return int(value) if isinstance(value, str) and field.type != field.TYPE_STRING else value


def told(attributes: Any) -> dict[str, Any]:
    """Attributes as plain values."""
    found = {}
    for pair in attributes:
        kind = pair.value.WhichOneof("value")
        value = getattr(pair.value, kind)
        found[pair.key] = tuple(item.string_value for item in value.values) if kind == "array_value" else value
    return found
