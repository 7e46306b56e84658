"""Anthropic's own SDK before the gateway: unchanged but for its address, with a route's name in place of a model's.

Which company answers is the document's business. Needs anthropic, which `./dev setup` installs.
Offline: the models are simulated. `python examples/anthropic_sdk.py`
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import anthropic

DOCUMENT = Path(__file__).parent / "anthropic_sdk.yaml"


def ask(client: anthropic.Anthropic) -> None:
    answer = client.messages.create(
        model="assistant", max_tokens=100, system="Be brief.", messages=[{"role": "user", "content": "Say hello"}]
    )
    print("".join(block.text for block in answer.content if block.type == "text"))
    asked = client.messages.stream(
        model="assistant", max_tokens=100, messages=[{"role": "user", "content": "Say goodbye"}]
    )
    with asked as events:
        print("".join(events.text_stream))
        last = events.get_final_message()
    print(f"tokens: {last.usage.output_tokens}, stop: {last.stop_reason}")


def main() -> None:
    command = [sys.executable, "-m", "polyroute", "serve", "-c", str(DOCUMENT), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as gateway:
        try:
            assert gateway.stdout is not None  # a pipe, as asked
            url = next(found[0] for line in gateway.stdout if (found := re.search(r"http://[\d.]+:\d+", line)))
            # The door is open here, and any key will do.
            ask(anthropic.Anthropic(base_url=url, api_key=os.environ.get("POLYROUTE_KEY", "any")))
        finally:
            gateway.terminate()


if __name__ == "__main__":
    main()
