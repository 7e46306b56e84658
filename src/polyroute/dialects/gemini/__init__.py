"""Google's Gemini API: `generateContent`, `streamGenerateContent` and `countTokens`, of AI Studio and of Vertex."""

from polyroute.dialects.gemini.dialect import Gemini as Gemini
from polyroute.dialects.gemini.dialect import GeminiArray as GeminiArray
from polyroute.dialects.gemini.embeddings import GeminiEmbeddings as GeminiEmbeddings
