"""Plain text carried as a document's bytes: into them and out of them. Pure."""

from base64 import b64decode, b64encode
from binascii import Error as NotBase64

from polyroute.types.content import Inline


def write_text(said: str) -> Inline:
    return Inline(media_type="text/plain", data=b64encode(said.encode("utf-8", "replace")).decode())


def read_text(media: Inline) -> str | None:
    """None where the bytes are no text. Base64 broken into lines is taken as one."""
    if not media.media_type.startswith("text/"):
        return None
    try:
        return b64decode("".join(media.data.split()), validate=True).decode()
    except (NotBase64, ValueError):
        return None
