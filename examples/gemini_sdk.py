"""Google's own SDK before the gateway: google-genai unchanged but for its address, and a route's name as the model.

Needs google-genai, which `./dev setup` installs. Offline: the models are simulated. `python examples/gemini_sdk.py`
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from google import genai
from google.genai import types

DOCUMENT = Path(__file__).parent / "gemini_sdk.yaml"


def ask(client: genai.Client) -> None:
    answer = client.models.generate_content(model="assistant", contents="Say hello")
    usage = answer.usage_metadata
    assert usage is not None  # every answer of the gateway's has one
    print(answer.text)
    print(f"tokens: {usage.total_token_count}, model: {answer.model_version}")
    chunks = client.models.generate_content_stream(model="assistant", contents="Say hello")
    print("".join(chunk.text or "" for chunk in chunks))


def main() -> None:
    command = [sys.executable, "-m", "polyroute", "serve", "-c", str(DOCUMENT), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as gateway:
        try:
            assert gateway.stdout is not None  # a pipe, as asked
            url = next(found[0] for line in gateway.stdout if (found := re.search(r"http://[\d.]+:\d+", line)))
            key = os.environ.get("POLYROUTE_KEY", "any")  # here the door is open, and any will do
            ask(genai.Client(api_key=key, http_options=types.HttpOptions(base_url=url)))
        finally:
            gateway.terminate()


if __name__ == "__main__":
    main()
