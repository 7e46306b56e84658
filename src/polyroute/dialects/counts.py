"""One count of tokens in a provider's usage, where it is plain JSON. Pure."""

_ABSURD = 1_000_000_000  # no model reads or writes that much in one answer


def read_count(value: object) -> int:
    """Tokens; 0 where not given, negative where no count."""
    if value is None:
        return 0
    return value if type(value) is int and value <= _ABSURD else -1
