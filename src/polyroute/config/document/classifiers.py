"""Settings of classifiers of one's own: what kind of request this is, in classes that the document names."""

from typing import Annotated

from msgspec import field

from polyroute.config.document.words import Count, Positive, Settings, about


class ExamplesClassifier(Settings, frozen=True, tag_field="use", tag="examples"):
    """Learned from example texts of each class when the gateway starts; once for the same rows."""

    classes: Annotated[dict[str, tuple[str, ...]], about("Class to texts that belong to it. Instead of `file`.")] = (
        field(default_factory=dict)
    )
    file: Annotated[
        str | None, about("JSONL rows of `{text, label}`; a `label` of null belongs to no class. Instead of `classes`.")
    ] = None
    out_of_scope: Annotated[tuple[str, ...], about("Labels of `file` that mean no class, as null does.")] = (
        "oos",
        "out_of_scope",
    )
    rejects: Annotated[bool, about("A text that is far from every class has none: its label is null.")] = True
    embeddings: Annotated[
        bool | None, about("Learn by meaning, extra `embeddings`, or by spelling alone; else by what is installed.")
    ] = None
    timeout_s: Annotated[Positive, about("Then the request goes on without a class.")] = 2.0


class TrainedClassifier(Settings, frozen=True, tag_field="use", tag="trained"):
    """Made beforehand by `polyroute classify --train`."""

    artifact: Annotated[str, about("The classifier's file.")]
    timeout_s: Annotated[Positive, about("Then the request goes on without a class.")] = 2.0


class LlmClassifier(Settings, frozen=True, tag_field="use", tag="llm"):
    """A small model names the class. Its call is an attempt of the request, and paid by it."""

    model: Annotated[str, about("The model that is asked.")]
    classes: Annotated[
        tuple[str, ...] | dict[str, str], about("The classes, or each with a sentence on what belongs to it.")
    ]
    instruction: Annotated[str | None, about("What it should look at; told before the classes.")] = None
    timeout_s: Annotated[Positive, about("Then the request goes on without a class.")] = 5.0
    max_output_tokens: Annotated[Count, about("Of its answer.")] = 30


Classifier = ExamplesClassifier | TrainedClassifier | LlmClassifier
