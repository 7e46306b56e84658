"""Log-probabilities of an answer's tokens, both ways. Source: ai.google.dev, API reference "LogprobsResult"."""

from itertools import zip_longest

from polyroute.dialects.gemini.names import Block
from polyroute.types.response import TokenLogprob


def read_logprobs(candidate: Block) -> tuple[TokenLogprob, ...] | None:
    result = candidate.get("logprobsResult")
    if not isinstance(result, dict):
        return None
    chosen, top = result.get("chosenCandidates"), result.get("topCandidates")
    if not isinstance(chosen, list):
        return None
    tops = [item.get("candidates") if isinstance(item, dict) else None for item in top] if isinstance(top, list) else []
    return tuple(
        [
            TokenLogprob(token=token, logprob=logprob, top=tuple(_tokens(beside)))
            for item, beside in zip_longest(chosen, tops[: len(chosen)])
            for token, logprob in _pairs([item])
        ]
    )


def write_logprobs(logprobs: tuple[TokenLogprob, ...]) -> Block:
    return {
        "chosenCandidates": [_written(item) for item in logprobs],
        "topCandidates": [{"candidates": [_written(top) for top in item.top]} for item in logprobs],
    }


def _written(item: TokenLogprob) -> Block:
    return {"token": item.token, "logProbability": item.logprob}


def _tokens(value: object) -> list[TokenLogprob]:
    return [TokenLogprob(token=token, logprob=logprob) for token, logprob in _pairs(value)]


def _pairs(value: object) -> list[tuple[str, float]]:
    found = []
    for item in value if isinstance(value, list) else ():
        token, logprob = (
            (item.get("token"), item.get("logProbability", 0.0)) if isinstance(item, dict) else (None, None)
        )
        if isinstance(token, str) and isinstance(logprob, int | float):
            found.append((token, float(logprob)))
    return found
