"""Every wire format that is spoken here, and which of them each family of providers is called in."""

from polyroute.dialects.anthropic_messages import AnthropicMessages
from polyroute.dialects.bedrock_converse import BedrockConverse
from polyroute.dialects.gemini import Gemini, GeminiArray, GeminiEmbeddings
from polyroute.dialects.openai_chat import OpenAIChat
from polyroute.dialects.openai_completions import OpenAICompletions
from polyroute.dialects.openai_embeddings import OpenAIEmbeddings
from polyroute.dialects.openai_image_edits import OpenAIImageEdits, OpenAIImageVariations
from polyroute.dialects.openai_images import OpenAIImages
from polyroute.dialects.openai_moderations import OpenAIModerations
from polyroute.dialects.openai_responses import OpenAIResponses
from polyroute.dialects.openai_speech import OpenAISpeech
from polyroute.dialects.openai_transcriptions import OpenAITranscriptions
from polyroute.dialects.rerank import Rerank
from polyroute.ports import Dialect

OPENAI_CHAT = OpenAIChat()
OPENAI_RESPONSES = OpenAIResponses()
ANTHROPIC_MESSAGES = AnthropicMessages()
BEDROCK_CONVERSE = BedrockConverse()
GEMINI = Gemini()
GEMINI_EMBEDDINGS = GeminiEmbeddings()

# What an OpenAI-shaped server is called in: a request in one of these goes to that endpoint, any other to the first
# of its operation.
OPENAI_SHAPED: tuple[Dialect, ...] = (
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    OpenAICompletions(),
    OpenAIEmbeddings(),
    OpenAIModerations(),
    Rerank(),
    OpenAIImages(),
    OpenAIImageEdits(),
    OpenAIImageVariations(),
    OpenAITranscriptions(),
    OpenAITranscriptions("openai_translations", "/audio/translations"),
    OpenAISpeech(),
)

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect
    for dialect in (*OPENAI_SHAPED, ANTHROPIC_MESSAGES, BEDROCK_CONVERSE, GEMINI, GEMINI_EMBEDDINGS)
}
DIALECTS["gemini_array"] = GeminiArray()  # a door alone: the same, its streams as an array
