"""`python -m bench.fit_tokens`: writes `catalog/data/tokens.json`, how each family of models counts a request's input.

Fitted on one half of the recorded scenarios; the error it writes beside is that of the other half.
"""

from __future__ import annotations

import sys

from msgspec import json
from msgspec.structs import replace

from bench.counting import Row, errors, fit
from bench.processes import BenchError
from bench.recordings import Counted, counted
from polyroute.catalog.counting import DATA, Family, Weights
from polyroute.catalog.names import own_name

# Told apart where their providers wrap differently; images and pages are the providers' own figures.
_FAMILIES = (
    (
        "claude from 4.7",
        (
            *("claude-opus-4-7", "claude-opus-4.7", "claude-opus-4-8", "claude-opus-4.8", "claude-opus-5"),
            *("claude-sonnet-5", "claude-haiku-5", "claude-fable", "claude-mythos"),
        ),
        Weights(image=1600, page=2500, tools=350, thinking=28),
    ),
    (
        "claude 3",
        ("claude-3-5", "claude-3.5", "claude-3-h", "claude-3-s", "claude-3-o", "claude-2", "claude-i"),
        Weights(image=1400, page=2500, tools=264),
    ),
    ("claude", ("claude",), Weights(image=1400, page=2500, tools=400, thinking=28)),
    ("gpt-oss", ("gpt-oss",), Weights()),
    ("openai", ("gpt", "chatgpt", "o1", "o3", "o4", "codex"), Weights(image=765, page=1500)),
    ("gemini", ("gemini", "learnlm"), Weights(image=258, page=258, request=0, message=1, schema=0.3)),
    (
        "mistral",
        ("mistral", "magistral", "ministral", "codestral", "devstral", "pixtral", "open-mi"),
        Weights(image=1000),
    ),
    ("deepseek", ("deepseek",), Weights(tools=200)),
    ("qwen", ("qwen", "qwq"), Weights(tools=80)),
    ("nova 2", ("nova-2",), Weights(image=1000, tools=600, request=30)),
    ("nova", ("nova",), Weights(image=1000, tools=250, request=0, message=1)),
)
_ENOUGH = 8  # recordings to fit on


def main() -> int:
    try:
        rows = [one for one in counted() if not one.has_media]
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    written = []
    taken: set[str] = set()
    for name, models, start in _FAMILIES:
        own = [one for one in rows if one.id not in taken and own_name(one.model.lower()).startswith(models)]
        taken |= {one.id for one in own}
        if (family := _family(name, models, start, own)) is not None:
            written.append(family)
    DATA.write_bytes(json.format(json.encode(written), indent=1) + b"\n")
    return 0


def _family(name: str, models: tuple[str, ...], start: Weights, rows: list[Counted]) -> Family | None:
    training = [one for one in rows if not one.is_held_out]
    held_out = [one for one in rows if one.is_held_out]
    if len(training) < _ENOUGH:
        return None
    weights = fit([Row(one.size, one.billed) for one in training], start)
    family = Family(name=name, models=models, weights=weights, fitted_on=len(training))
    if not held_out:
        return family
    estimates = [one.size.estimate_with(weights) for one in held_out]
    return replace(family, found=errors(estimates, [one.billed for one in held_out]))


if __name__ == "__main__":
    sys.exit(main())
