"""The container that the provider's own tools ran in: its id, under which a later request goes on there. Pure.

Source: platform.claude.com, "Code execution tool", `container`.
"""

_LONGEST = 256  # characters


def kept_of(container: object) -> tuple[str, ...]:
    """As an answer tells it, or the delta of a stream's end."""
    named = container.get("id") if isinstance(container, dict) else None
    return (named,) if isinstance(named, str) and 0 < len(named) <= _LONGEST else ()
