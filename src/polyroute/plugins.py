"""Finds a class by its entry point: `heuristic` of the group `polyroute.classifiers`. Ours are found like anyone's."""

from difflib import get_close_matches
from importlib.metadata import entry_points

from polyroute.errors import ConfigError, Problem


def find(group: str, name: str, *, path: str) -> object:
    """What `name` stands for. Raises ConfigError, with `path` into the document, where nothing bears that name."""
    found = {point.name: point for point in entry_points(group=group)}
    if name not in found:
        near = get_close_matches(name, found, n=1)
        fix = f"did you mean `{near[0]}`?" if near else f"installed are {', '.join(sorted(found))}"
        raise ConfigError([Problem(path=path, message=f"there is no `{name}` in {group}", fix=fix)])
    return found[name].load()
