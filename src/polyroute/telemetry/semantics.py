"""OpenTelemetry's names for what a generative model was asked and did.

Source: open-telemetry/semantic-conventions-genai ("development" status), attributes and metrics of client and server
spans. Ours are under `polyroute.`. Their Python package is unstable, so the names are written down here.
"""

from typing import Final

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
RESPONSE_MODEL: Final = "gen_ai.response.model"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
FIRST_CHUNK_S: Final = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS: Final = "gen_ai.usage.cache_creation.input_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
STREAM: Final = "gen_ai.request.stream"
TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105 - no password
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
ERROR_TYPE: Final = "error.type"
STATUS_CODE: Final = "http.response.status_code"

TOKEN_USAGE: Final = "gen_ai.client.token.usage"  # noqa: S105
DURATION: Final = "gen_ai.client.operation.duration"
FIRST_TOKEN: Final = "gen_ai.server.time_to_first_token"  # noqa: S105

# Bucket bounds that the conventions ask for.
TOKEN_BOUNDS: Final = (1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0, 16777216.0, 67108864.0)  # fmt: skip  # noqa: E501
DURATION_BOUNDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
FIRST_TOKEN_BOUNDS: Final = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)

FAMILIES: Final = {  # of the document to the conventions' well-known providers
    "openai": "openai", "anthropic": "anthropic", "gemini": "gcp.gemini", "bedrock": "aws.bedrock"
}  # fmt: skip
OPERATIONS: Final = {  # doors to the conventions' operations; any other is "chat"
    "openai_completions": "text_completion",
    "openai_embeddings": "embeddings",
    "gemini_embeddings": "embeddings",
    "openai_moderations": "moderation",
    "openai_images": "image_generation",
    "openai_transcriptions": "transcription",
    "openai_translations": "transcription",
    "openai_speech": "speech",
    "rerank": "rerank",
}


def operation_of(door: str) -> str:
    return OPERATIONS.get(door, "chat")
