"""AWS's own SDK before the gateway: boto3 unchanged but for its endpoint, and a route's name in place of a model's.

Needs boto3, which `./dev setup` installs. Offline: the models are simulated. `python examples/bedrock_sdk.py`
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3

DOCUMENT = Path(__file__).parent / "bedrock_sdk.yaml"


def ask(client: Any) -> None:
    question = {"role": "user", "content": [{"text": "Say hello"}]}
    answer = client.converse(modelId="assistant", messages=[question])
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    print(answer["output"]["message"]["content"][0]["text"])
    print(f"tokens: {answer['usage']['totalTokens']}, model: {headers['x-polyroute-model']}")
    events = client.converse_stream(modelId="assistant", messages=[question])["stream"]
    print("".join(event["contentBlockDelta"]["delta"]["text"] for event in events if "contentBlockDelta" in event))


def main() -> None:
    command = [sys.executable, "-m", "polyroute", "serve", "-c", str(DOCUMENT), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as gateway:
        try:
            assert gateway.stdout is not None  # a pipe, as asked
            url = next(found[0] for line in gateway.stdout if (found := re.search(r"http://[\d.]+:\d+", line)))
            # The gateway's key goes where the SDK has its access key id; here the door is open, and any will do.
            key = os.environ.get("POLYROUTE_KEY", "any")
            client = boto3.client(
                "bedrock-runtime",
                endpoint_url=url,
                region_name="us-east-1",
                aws_access_key_id=key,
                aws_secret_access_key=key,  # any will do: the signature is not looked at
            )
            ask(client)
        finally:
            gateway.terminate()


if __name__ == "__main__":
    main()
