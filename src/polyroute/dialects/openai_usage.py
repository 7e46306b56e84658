"""Token counts as OpenAI nests them, in our disjoint classes: both of its APIs count alike, under other names. Pure.

Cached, written and heard tokens are counted inside the input, reasoning and spoken ones inside the output.
"""

from msgspec import Struct

from polyroute.types.response import Usage

_ABSURD = 1 << 40  # tokens


class Counts(Struct, frozen=True, kw_only=True):
    """Two wholes, and the parts of each."""

    given: int
    made: int
    cached: int = 0
    written: int = 0
    heard: int = 0
    thought: int = 0
    spoken: int = 0

    @property
    def is_believable(self) -> bool:
        counts = (self.given, self.made, self.cached, self.written, self.heard, self.thought, self.spoken)
        return min(counts) >= 0 and max(counts) <= _ABSURD and self.given + self.made > 0


def disjoint(counts: Counts) -> Usage | None:
    """None where they cannot be true. Parts that exceed their whole are cut to it: the whole is what is billed."""
    if not counts.is_believable:
        return None
    cached = min(counts.cached, counts.given)
    written = min(counts.written, counts.given - cached)
    heard = min(counts.heard, counts.given - cached - written)
    thought = min(counts.thought, counts.made)
    spoken = min(counts.spoken, counts.made - thought)
    return Usage(
        input_tokens=counts.given - cached - written - heard,
        cached_input_tokens=cached,
        cache_write_tokens=written,
        output_tokens=counts.made - thought - spoken,
        reasoning_tokens=thought,
        input_audio_tokens=heard,
        output_audio_tokens=spoken,
    )
