"""What the fake upstream says (upstream.c), for the pieces that are timed without it."""

from __future__ import annotations

import json

_TEXT = (
    " the gateway keeps one table of models and their prices, so that each request can be sent to the cheapest model "
    "able to answer it, and falls back to another when the first one is not available."
)
_DETAILS = {"reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}

CHAT = json.dumps(
    {
        "id": "chatcmpl-9xYzAbCdEfGhIjKlMnOpQrSt",
        "object": "chat.completion",
        "created": 1760000000,
        "model": "fake-model-2025-01-01",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": _TEXT, "refusal": None, "annotations": []},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 182,
            "completion_tokens": 40,
            "total_tokens": 222,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": _DETAILS,
        },
        "service_tier": "default",
        "system_fingerprint": "fp_0123456789",
    },
    separators=(",", ":"),
).encode()

MESSAGE = json.dumps(
    {
        "id": "msg_01AbCdEfGhIjKlMnOpQrStUv",
        "type": "message",
        "role": "assistant",
        "model": "fake-model-2025-01-01",
        "content": [{"type": "text", "text": _TEXT}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 182, "output_tokens": 40, "service_tier": "standard"},
    },
    separators=(",", ":"),
).encode()

CHAT_EVENT = (
    b'data: {"id":"chatcmpl-9xYzAbCdEfGhIjKlMnOpQrSt","object":"chat.completion.chunk","created":1760000000,'
    b'"model":"fake-model-2025-01-01","service_tier":"default","system_fingerprint":"fp_0123456789","choices":'
    b'[{"index":0,"delta":{"content":" gateway"},"logprobs":null,"finish_reason":null}],"usage":null}\n\n'
)

MESSAGE_HEAD = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_01AbCdEf","type":"message",'
    b'"role":"assistant","model":"fake-model","content":[],"stop_reason":null,"stop_sequence":null,'
    b'"usage":{"input_tokens":182,"output_tokens":1}}}\n\n'
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
    b'"content_block":{"type":"text","text":""}}\n\n'
)
MESSAGE_EVENT = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":" gateway"}}\n\n'
)
