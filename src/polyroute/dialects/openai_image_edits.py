"""OpenAI's image edits and variations: uploaded images, and what is made of them, whole or as a stream.

The upload goes on with the bytes it came with, but for the model's name. Answers and prices are those of generations;
what the uploaded images count as is in the usage, where a model tells one. Source: OpenAI API reference, "Create image
edit", "Create image variation".
"""

from collections.abc import Mapping

from msgspec.structs import replace

from polyroute.dialects.fields import missing, text, wrong
from polyroute.dialects.multipart import FORM, Form, Part, count, flag
from polyroute.dialects.openai_images import DEFAULT_MODEL, MAX_IMAGES, MAX_PROMPT, OpenAIImages, image_kind
from polyroute.dialects.openai_operation import further, given_text, model_of
from polyroute.errors import InvalidRequest
from polyroute.ports import WireRequest
from polyroute.types.cards import Deployment
from polyroute.types.content import Image, Inline, Message, Text
from polyroute.types.request import Request, Wire
from polyroute.types.response import Units

_KNOWN = frozenset({FORM, "model", "prompt", "n", "stream", "user"})
_MOST_UPLOADED = 16  # API reference, `image`


class OpenAIImageEdits(OpenAIImages):
    name = "openai_image_edits"
    path = "/images/edits"
    event = "image_edit"
    _files = frozenset({"image", "image[]", "mask"})
    _is_told = True  # by a text, what to make

    def parse_request(self, body: dict[str, object], headers: Mapping[str, str]) -> Request:
        """`body` holds an upload's plain fields, and the upload itself under FORM."""
        form, n, stream, user = (body.get(name) for name in (FORM, "n", "stream", "user"))
        if not isinstance(form, Form):
            missing("image", "an image, as a file of a multipart/form-data upload")
        images = self._uploaded(form)
        said = () if (prompt := self._prompt(body)) is None else (Text(text=prompt),)
        wanted = 1 if n is None else count(n, "n", 1, MAX_IMAGES)
        extensions = further(body, _KNOWN)
        shown = tuple(Image(media=Inline(media_type=part.media_type or "image/png", data="")) for part in images)
        return Request(
            model=model_of(body, DEFAULT_MODEL),
            operation="image",
            messages=(Message(role="user", parts=(*said, *shown)),),
            n=wanted,
            units=Units(images=wanted, image_kind=image_kind(extensions)),
            stream=stream is not None and flag(stream, "stream"),
            end_user=None if user is None else text(user, "user"),
            extensions=extensions,
            wire=Wire(dialect=self.name, body=body),
        )

    def obstacles(self, request: Request) -> tuple[str, ...]:
        is_own = request.wire is not None and request.wire.dialect == self.name
        return () if is_own else (f"an image can be sent on only as it was uploaded, to {self.path}",)

    def render_request(self, request: Request, target: Deployment, *, max_output_tokens: int | None) -> WireRequest:
        assert request.wire is not None  # nothing else is no obstacle
        form = request.wire.body[FORM]
        assert isinstance(form, Form)
        model = target.upstream_model.encode()
        parts = [replace(part, content=model) if part.name == "model" else part for part in form.parts]
        if all(part.name != "model" for part in parts):
            parts.append(Part(name="model", head=b'Content-Disposition: form-data; name="model"', content=model))
        if not request.stream:
            parts = [part for part in parts if part.name != "stream"]
        return WireRequest(path=self.path, body=form.encode(parts), headers={}, media_type=form.media_type)

    def _prompt(self, body: Mapping[str, object]) -> str | None:
        if self._is_told and body.get("prompt") is None:
            missing("prompt", "the text that describes the wanted image")
        return given_text(body["prompt"], "prompt", MAX_PROMPT) if self._is_told else None

    def _uploaded(self, form: Form) -> tuple[Part, ...]:
        files = tuple(part for part in form.parts if part.filename is not None)
        for part in files:
            if part.name not in self._files:
                raise InvalidRequest(f"an upload holds no file `{part.name[:80]}`", field=part.name[:80])
            if not part.content:
                wrong(part.name, "a file that is not empty", "0 bytes", code="invalid_value")
        images = tuple(part for part in files if part.name != "mask")
        if not images:
            missing("image", "an image, as a file of the upload")
        if len(images) > _MOST_UPLOADED:
            wrong("image", f"at most {_MOST_UPLOADED} images", f"{len(images)} images", code="invalid_value")
        return images


class OpenAIImageVariations(OpenAIImageEdits):
    name = "openai_image_variations"
    path = "/images/variations"
    _files = frozenset({"image"})
    _is_told = False
