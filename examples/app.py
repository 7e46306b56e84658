"""An application that names what it wants done, and no model: which one answers is the document's business.

`python examples/app.py` runs it on the simulated models of app.yaml; another document swaps models, tiers and
strategies without touching a line here.
"""

import asyncio
import sys
from pathlib import Path

from polyroute import Gateway, TaskClient

DOCUMENT = Path(__file__).parent / "app.yaml"


class Inbox:
    """Feature code: it is given clients for its tasks, and asks them."""

    def __init__(self, triage: TaskClient, summarize: TaskClient) -> None:
        self._triage = triage
        self._summarize = summarize

    async def read(self, mail: str) -> tuple[str, str]:
        """What kind of mail it is, and what it says in short."""
        kind = await self._triage.complete(f"Classify this mail as bill, question or other: {mail}")
        return kind, await self._summarize.complete(f"Summarize this mail in one sentence: {mail}")


async def main(document: Path) -> None:
    async with Gateway(document) as gateway:
        inbox = Inbox(gateway.client("triage"), gateway.client("summarize"))
        for part in await inbox.read("Our invoice for May is attached; please pay within two weeks."):
            print(part)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else DOCUMENT))
