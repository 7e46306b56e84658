"""What a document reads beside itself: variables, files, secrets. One that comes over the API reads nothing more.

Else whoever may change the document from afar could have any variable or file of the machine sent to an address of
their choice. Further ones are named in the file, by whoever can write there.
"""

from collections.abc import Iterator, Mapping

from polyroute.config.load import Loaded
from polyroute.config.sources import secrets_of
from polyroute.config.yaml12 import parse
from polyroute.errors import ConfigError, Problem

_FIX = "write it into the file where the gateway runs; a provider's key can be given by `polyroute providers set-key`"


def reach_problems(before: Loaded, after: Loaded) -> tuple[Problem, ...]:
    """A problem for each thing that `after` reads and `before` does not."""
    anew = sorted(set(_reach(after)) - set(_reach(before)))
    return tuple(
        Problem(path="document", message=f"names {name}, which the document in force does not", fix=_FIX)
        for name in anew
    )


def _reach(loaded: Loaded) -> Iterator[str]:
    document, variables = loaded.document, _Noting(loaded.env)
    for file, text in loaded.texts.items():
        if file != str(loaded.file):
            yield f"the file {file.removeprefix(f'{loaded.folder}/')}"
        try:
            parse(text, file=file, env=variables, problems=[])
        except ConfigError:
            continue  # a prompt's text: no document
    yield from (f"the variable {name}" for name in variables.asked)
    yield from (f"the secret {s.name}" for s in secrets_of(document) if s.name.startswith(("file ", "vault ")))
    yield from (f"the file {p.recordings}" for p in document.providers.values() if p.recordings is not None)
    if document.tasks is not None:
        yield f"the file {document.tasks}"


class _Noting(Mapping[str, str]):
    """The environment, and what of it was asked for."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self._env[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._env)

    def __len__(self) -> int:
        return len(self._env)
