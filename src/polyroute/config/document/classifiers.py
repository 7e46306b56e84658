"""Settings of classifiers of one's own."""

from typing import Annotated

from msgspec import field

from polyroute.config.document.words import Later, about


class Classifier(Later, frozen=True):
    """A classifier of one's own."""

    use: Annotated[str, about("Its kind: `examples`, …")]
    classes: Annotated[dict[str, tuple[str, ...]], about("Class to utterances.")] = field(default_factory=dict)
    file: Annotated[str | None, about("JSONL rows of `{text, label}`.")] = None
