"""The document's prompts: their files read, their versions and labels checked, and whether routes name what there is.

A prompt that a route names and the document does not declare may be a managed one; whether it is there is asked
where the store is at hand.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec.structs import replace

from polyroute.config import singles
from polyroute.config.document import Document
from polyroute.config.suggest import Vocabulary
from polyroute.errors import Problem
from polyroute.prompts.compiled import MAX_CHARS, problems_in
from polyroute.prompts.reference import parse_reference, resolve
from polyroute.types.prompts import Kept, Prompt, Variant


def with_prompt_files(document: Document, folder: Path) -> tuple[Document, dict[str, str]]:
    """Texts in place of the files that hold them, and those texts by file. What cannot be read keeps its `file`."""
    texts: dict[str, str] = {}
    prompts = {
        name: replace(
            prompt,
            versions={
                number: replace(
                    wordings,
                    variants={variant: _read(words, folder, texts) for variant, words in wordings.variants.items()},
                )
                for number, wordings in prompt.versions.items()
            },
        )
        for name, prompt in document.prompts.items()
    }
    return (replace(document, prompts=prompts), texts) if texts else (document, texts)


def unread_files(document: Document) -> Iterator[Problem]:
    for name, prompt in document.prompts.items():
        for number, wordings in prompt.versions.items():
            for variant, words in wordings.variants.items():
                if words.file is not None and words.system is None:
                    path = f"prompts.{name}.versions.{number}.variants.{variant}.file"
                    fix = f"a UTF-8 text of at most {MAX_CHARS} characters, relative to the document's folder"
                    yield Problem(path=path, message=f"cannot be read: {words.file}", fix=fix)


def prompt_problems(document: Document) -> Iterator[Problem]:
    for name, prompt in document.prompts.items():
        path = f"prompts.{name}"
        yield from singles.name_problems(path, name, {})
        if "@" in name:
            yield Problem(path=path, message="a name cannot hold `@`: it stands before the version")
        yield from _versions(path, prompt)
    for name, route in document.routes.items():
        if route.prompt is None:
            continue
        try:
            reference = parse_reference(route.prompt)
        except ValueError as exc:
            yield Problem(path=f"routes.{name}.prompt", message=str(exc))
            continue
        declared = document.prompts.get(reference.name)
        if declared is not None and declared.versions:
            yield from _reference(f"routes.{name}.prompt", route.prompt, _numbers(declared), declared.labels)


def managed_problems(document: Document, managed: Mapping[str, Kept]) -> Iterator[Problem]:
    """Routes whose prompts are neither declared nor among the managed ones."""
    names = Vocabulary((*document.prompts, *managed))
    for name, route in document.routes.items():
        if route.prompt is None:
            continue
        at, wanted = f"routes.{name}.prompt", parse_reference(route.prompt).name
        if wanted in document.prompts:
            continue
        kept = managed.get(wanted)
        if kept is None:
            fix = names.fix(wanted) or f"declare it under `prompts`, or `polyroute prompts add {wanted} …`"
            yield Problem(path=at, message=f"there is no prompt `{wanted}`", fix=fix)
        else:
            yield from _reference(at, route.prompt, {int(number): None for number in kept.versions}, kept.labels)


def _reference(path: str, written: str, versions: Mapping[int, object], labels: Mapping[str, int]) -> Iterator[Problem]:
    try:
        resolve(parse_reference(written), versions, labels)
    except LookupError as exc:
        yield Problem(path=path, message=exc.args[0])


def _versions(path: str, prompt: Prompt) -> Iterator[Problem]:
    if not prompt.versions:
        yield Problem(path=f"{path}.versions", message="is empty", fix="write the first version under `1`")
    for number, wordings in prompt.versions.items():
        at = f"{path}.versions.{number}"
        if not (number.isascii() and number.isdigit() and number[0] != "0" and len(number) < 10):
            yield Problem(path=at, message=f"`{number}` is no version", fix="a whole number from 1")
        yield from problems_in(wordings, at)
    for label, version in prompt.labels.items():
        at = f"{path}.labels.{label}"
        yield from singles.name_problems(at, label, {})
        if label.isdigit():
            yield Problem(path=at, message="a label cannot be a number: that is a version")
        if str(version) not in prompt.versions:
            yield Problem(path=at, message=f"there is no version {version}", fix=f"known: {', '.join(prompt.versions)}")


def _numbers(prompt: Prompt) -> dict[int, None]:
    return {int(number): None for number in prompt.versions if number.isascii() and number.isdigit()}


def _read(words: Variant, folder: Path, texts: dict[str, str]) -> Variant:
    if words.file is None or words.system is not None:
        return words
    path = folder / words.file
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(MAX_CHARS + 1)
    except (OSError, UnicodeDecodeError):
        return words
    if len(text) > MAX_CHARS:
        return words
    texts[str(path)] = text
    return replace(words, system=text.strip(), file=None)
