"""What a request asks of any model: input size, output size, capabilities, modalities."""

from collections.abc import Iterable

from polyroute.catalog.tokens import Size
from polyroute.types.content import Audio, Document, FileRef, Image, Opaque, Part, ToolCall, ToolResult
from polyroute.types.request import Request
from polyroute.types.routing import Needs

_MODALITY: dict[type, str] = {Image: "image", Document: "pdf", Audio: "audio"}


def needs_of(request: Request, size: Size) -> Needs:
    """`size` is the request's own, measured once."""
    capabilities = set()
    if request.tools:
        capabilities.add("tools")
    if request.output is not None:
        capabilities.add("json" if request.output.schema is None else "json_schema")
    if request.reasoning is not None and request.reasoning.enabled:
        capabilities.add("thinking")
    if request.logprobs:
        capabilities.add("logprobs")
    modalities, files = {"text"}, list[str]()
    for message in request.messages:
        for part in message.parts:
            _look(part, modalities, capabilities, files)
    return Needs(
        input_tokens=size.estimate,
        output_tokens=request.max_output_tokens,
        choices=request.n,
        capabilities=frozenset(capabilities),
        modalities=frozenset(modalities),
        caches="cache_control" in request.extensions  # Anthropic's mark on the whole request
        or any(_marked(message.parts) for message in request.messages)
        or _marked(request.tools),
        operation=request.operation,
        units=request.units,
        files=tuple(files),
    )


def _marked(items: Iterable[object]) -> bool:
    return any(getattr(item, "cache", None) is not None for item in items)


def _look(part: Part, modalities: set[str], capabilities: set[str], files: list[str]) -> None:
    modality = _MODALITY.get(type(part))
    if modality is not None:
        modalities.add(modality)
        if isinstance(part, Image | Document) and isinstance(part.media, FileRef):
            files.append(part.media.file_id)
    elif isinstance(part, Opaque):
        if part.file is not None:
            files.append(part.file)
    elif isinstance(part, ToolCall):
        capabilities.add("tools")
    elif isinstance(part, ToolResult):
        capabilities.add("tools")
        for inner in part.parts:
            _look(inner, modalities, capabilities, files)
