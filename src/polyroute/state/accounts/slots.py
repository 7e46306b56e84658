"""Requests under way, counted against what may be at once. One process's; pure."""

from collections.abc import Iterable

from polyroute.state.accounts.budgets import Account, Cap


class Taken:
    """Places of one request under way. Given back once; what comes after that changes nothing."""

    __slots__ = ("_accounts", "_slots")

    def __init__(self, slots: "Slots", accounts: tuple[Account, ...]) -> None:
        self._slots = slots
        self._accounts = accounts

    def release(self) -> None:
        accounts, self._accounts = self._accounts, ()
        self._slots.give_back(accounts)


class Slots:
    def __init__(self) -> None:
        self._taken: dict[Account, int] = {}

    def taken(self, account: Account) -> int:
        return self._taken.get(account, 0)

    def full(self, caps: Iterable[Cap]) -> Cap | None:
        """The first that has no room for one more."""
        return next((cap for cap in caps if self.taken(cap.account) >= cap.limit_nanos), None)

    def take(self, caps: Iterable[Cap]) -> Taken:
        """One of each. Ask `full` first."""
        accounts = tuple(cap.account for cap in caps)
        for account in accounts:
            self._taken[account] = self.taken(account) + 1
        return Taken(self, accounts)

    def give_back(self, accounts: Iterable[Account]) -> None:
        for account in accounts:
            left = self._taken[account] - 1
            if left:
                self._taken[account] = left
            else:
                del self._taken[account]
