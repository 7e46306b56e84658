"""How many connections may be open: each needs a descriptor, and one more where a provider is asked for it."""

import resource

_OTHERS = 200  # files of the books, listeners, pipes
_FEWEST = 64
_UNBOUNDED = 1 << 20


def obtainable() -> int:
    """Descriptors that this process may have, once it has asked for them."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _UNBOUNDED if hard == resource.RLIM_INFINITY else hard


def obtain() -> None:
    """As many as it may: what a shell allows at first is often 1024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def connections(descriptors: int) -> int:
    """That callers may open, at once."""
    return max((descriptors - _OTHERS) // 2, _FEWEST)
