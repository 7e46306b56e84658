"""Which document answers a question: by its vector and by a reranker, with OpenAI's own SDK, and what it cost.

Needs openai, which `./dev setup` installs. Offline: the models are simulated. `python examples/embeddings.py`
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import openai

DOCUMENT = Path(__file__).parent / "embeddings.yaml"
QUESTION = "how do I reset my password"
TEXTS = (
    "Invoices are sent on the first day of a month",
    "To reset your password open the settings and press reset",
    "Our office is closed on public holidays",
)


def compare(client: openai.OpenAI) -> None:
    answer = client.embeddings.with_raw_response.create(model="embedder", input=[QUESTION, *TEXTS], dimensions=512)
    asked, *known = (item.embedding for item in answer.parse().data)
    best = max(range(len(TEXTS)), key=lambda at: sum(a * b for a, b in zip(asked, known[at], strict=True)))
    print(f"by vectors: {TEXTS[best]}")
    print(f"cost: {answer.headers['x-polyroute-cost-usd']} USD")
    ranked = client.post(
        "/rerank", body={"model": "sorter", "query": QUESTION, "documents": TEXTS, "top_n": 1}, cast_to=object
    )
    assert isinstance(ranked, dict)  # as every answer of this path
    print(f"reranked: {TEXTS[ranked['results'][0]['index']]}")


def main() -> None:
    command = [sys.executable, "-m", "polyroute", "serve", "-c", str(DOCUMENT), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as gateway:
        try:
            assert gateway.stdout is not None  # a pipe, as asked
            url = next(found[0] for line in gateway.stdout if (found := re.search(r"http://[\d.]+:\d+", line)))
            key = os.environ.get("POLYROUTE_KEY", "any")  # here the door is open, and any will do
            with openai.OpenAI(base_url=f"{url}/v1", api_key=key) as client:
                compare(client)
        finally:
            gateway.terminate()


if __name__ == "__main__":
    main()
