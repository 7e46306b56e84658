"""What a provider said is left of an account's quota."""

from msgspec import Struct


class Left(Struct, frozen=True, kw_only=True):
    """Of one quota, when it was said."""

    remaining: int
    limit: int | None = None
    reset_s: float | None = None  # until all of it is there again; None: not said


class Quota(Struct, frozen=True, kw_only=True):
    """None: nothing was said of it."""

    requests: Left | None = None
    tokens: Left | None = None
