"""Amazon Bedrock's Converse API: `/model/{modelId}/converse` and `/model/{modelId}/converse-stream`."""

from polyroute.dialects.bedrock_converse.dialect import BedrockConverse

__all__ = ["BedrockConverse"]
