"""A secret value that cannot be printed by accident. It never decides where a secret comes from: the document does."""

import hmac

_SHOWN = "***"


class Secret:
    """Prints as `***` everywhere; `reveal` is the one way to the value. `name` says where it was read from.

    Two secrets are equal where their values are. The name, never the value, enters content hashes.
    """

    __slots__ = ("_value", "name")

    def __init__(self, value: str, *, name: str = "literal") -> None:
        self._value = value
        self.name = name

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return _SHOWN

    def __format__(self, spec: str) -> str:
        return format(_SHOWN, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str:
        raise TypeError("a secret is never pickled or copied into another process")
