"""OpenAI's own SDK and its Responses API before the gateway: unchanged but for its address, a route's name as model.

Nothing is stored: a conversation goes on by sending its items back. Needs openai, which `./dev setup` installs.
Offline: the models are simulated. `python examples/responses_sdk.py`
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import openai
from openai.types.responses import ResponseInputItemParam

DOCUMENT = Path(__file__).parent / "responses_sdk.yaml"


def ask(client: openai.OpenAI) -> None:
    conversation: list[ResponseInputItemParam] = [{"role": "user", "content": "Say hello"}]
    answer = client.responses.create(model="assistant", instructions="Be brief.", input=conversation)
    print(answer.output_text)
    conversation += [{"role": "assistant", "content": answer.output_text}, {"role": "user", "content": "Say goodbye"}]
    with client.responses.stream(model="assistant", input=conversation) as events:
        print("".join(event.delta for event in events if event.type == "response.output_text.delta"))
        last = events.get_final_response()
    assert last.usage is not None
    print(f"tokens: {last.usage.total_tokens}, status: {last.status}")


def main() -> None:
    command = [sys.executable, "-m", "polyroute", "serve", "-c", str(DOCUMENT), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as gateway:
        try:
            assert gateway.stdout is not None  # a pipe, as asked
            url = next(found[0] for line in gateway.stdout if (found := re.search(r"http://[\d.]+:\d+", line)))
            # The door is open here, and any key will do.
            ask(openai.OpenAI(base_url=f"{url}/v1", api_key=os.environ.get("POLYROUTE_KEY", "any")))
        finally:
            gateway.terminate()


if __name__ == "__main__":
    main()
