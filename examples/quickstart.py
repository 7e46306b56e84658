"""The article's router in a dozen lines: three queries, three tiers, and what each saves against a named baseline.

Offline: nothing is called, this is the dry run. `python examples/quickstart.py`
"""

import asyncio
from decimal import Decimal
from pathlib import Path

from polyroute import Gateway, ask

HERE = Path(__file__).parent
QUERIES = (
    "Is this email spam? 'Congratulations you won!'",
    "Summarize this 500-word article about renewable energy",
    "Analyze the trade-offs between microservices and monolith architectures for a 10-person startup",
)
# US dollars per 1,000 input tokens, as quickstart.yaml prices the two baselines.
BASELINES = {"as-priced": ("premium", Decimal("0.015")), "as-named": ("gpt-4o", Decimal("0.0025"))}


async def main() -> None:
    async with Gateway(HERE / "quickstart.yaml") as gateway:
        for query in QUERIES:
            print(f"Query: {query[:60]}...")
            for route, (baseline, per_1k) in BASELINES.items():
                decision = await gateway.route(ask(route, query))
                cost = decision.estimated_cost_per_1k
                assert cost is not None  # every model of this document has a price
                print(f"  → {decision.model} ({decision.complexity})")
                print(f"  → Reason: {decision.reason}")
                print(f"  → Cost savings vs {baseline} at ${per_1k * 1000:.2f}/M: {(per_1k - cost) / per_1k:.0%}")
            print()
    print(
        "Baselines: `premium` is the article's price for complex requests ($15/M). The model its code names for them\n"
        "is gpt-4o, listed at $2.50/M: against that one the savings are the smaller figures. A saving means nothing\n"
        "without its baseline."
    )


if __name__ == "__main__":
    asyncio.run(main())
