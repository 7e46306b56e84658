"""Reads the small files that users write beside their document: YAML, of which JSON is a part."""

from pathlib import Path

import yaml

from polyroute.errors import ConfigError, Problem

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster where the wheel has it


def read_mapping(path: Path) -> dict[str, object]:
    """The file's mapping; an empty file is an empty one. Raises ConfigError where it cannot be read as such."""
    try:
        document = yaml.load(path.read_bytes(), Loader=_LOADER)  # noqa: S506 (a safe loader)
    except (OSError, yaml.YAMLError) as exc:
        raise ConfigError([Problem(path="", message=f"cannot be read: {exc}", file=str(path))]) from exc
    if document is None:
        return {}
    if not isinstance(document, dict) or not all(isinstance(name, str) for name in document):
        raise ConfigError([Problem(path="", message="is not a mapping of names", file=str(path))])
    return document
