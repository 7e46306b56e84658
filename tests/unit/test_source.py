"""No line of ours runs text as code, text as a command, or text as SQL. Read from the syntax tree, not by pattern."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "polyroute"
FILES = sorted(SOURCE.rglob("*.py"))

CALLS = {"eval", "exec", "compile", "__import__"}
MODULES = {"pickle", "marshal", "shelve", "dill", "jinja2", "subprocess", "commands", "code", "codeop", "ctypes"}
ATTRIBUTES = {
    ("os", "system"), ("os", "popen"), ("os", "execv"), ("os", "spawnv"), ("yaml", "load"), ("yaml", "unsafe_load"),
    ("yaml", "full_load"), ("asyncio", "create_subprocess_shell"), ("asyncio", "create_subprocess_exec"),
    ("tempfile", "mktemp"), ("hashlib", "md5"), ("hashlib", "sha1"), ("ssl", "_create_unverified_context"),
}  # fmt: skip
RUNS_SQL = {"execute", "executemany", "executescript"}
# What may be found, and why.
EXPECTED = {
    "embedders/runtime.py": {"import subprocess"},  # builds the model once, by a module of ours
    "embedders/worker.py": {"asyncio.create_subprocess_exec"},  # a module of ours
    "catalog/files.py": {"yaml.load"},  # with a safe loader
    "stages/validation/confined.py": {"exec()", "compile()", "import ctypes"},  # a process that can do nothing else
    "stages/validation/sandbox.py": {"import subprocess", "asyncio.create_subprocess_exec", "from asyncio.subprocess"},
    "stages/validation/parsing.py": {"asyncio.create_subprocess_exec", "from asyncio.subprocess"},
    "stages/validation/parsers.py": {"SQL put together at execute()"},  # EXPLAIN in an empty database of its own
    "stores/sqlite/files.py": {"SQL put together at execute()"},  # the schema's own version
    "stores/sqlite/checkpoints.py": {"SQL put together at execute()"},  # a number
    "stores/sqlite/expiring.py": {"SQL put together at execute()"},  # one of two fixed names
    "stores/records/sqlite.py": {"SQL put together at execute()"},  # one of two fixed conditions
    "stores/records/postgres.py": {"SQL put together at execute()"},  # likewise
}


def findings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in CALLS:
                yield f"{name}()"
            case ast.Import(names=names):
                yield from (f"import {n.name}" for n in names if n.name.split(".")[0] in MODULES)
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in MODULES:
                yield f"from {module}"
            case ast.Attribute(value=ast.Name(id=owner), attr=attribute) if (owner, attribute) in ATTRIBUTES:
                yield f"{owner}.{attribute}"
            case ast.keyword(arg="shell", value=ast.Constant(value=True)):
                yield "shell=True"
            case (
                ast.keyword(arg="verify", value=ast.Constant(value=False))
                | ast.keyword(arg="verify_mode", value=ast.Attribute(attr="CERT_NONE"))
            ):
                yield "TLS is not verified"
            case ast.Call(func=ast.Attribute(attr=verb), args=[query, *_]) if verb in RUNS_SQL:
                if _is_joined(query):
                    yield f"SQL put together at {verb}()"


def _is_joined(query: ast.expr) -> bool:
    """Whether anything but constants of the module went into it."""
    match query:
        case ast.JoinedStr(values=values):
            return not all(isinstance(v, ast.Constant) or _is_constant(v) for v in values)
        case ast.Call(func=ast.Attribute(value=inner, attr="encode")):
            return _is_joined(inner)
        case ast.Call(func=ast.Attribute(attr="format" | "join")):
            return True
        case _:
            return isinstance(query, ast.BinOp)


def _is_constant(piece: ast.expr) -> bool:
    value = piece.value if isinstance(piece, ast.FormattedValue) else piece
    return isinstance(value, ast.Name) and value.id.strip("_").isupper()


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_nothing_is_run_that_was_text(file: Path) -> None:
    found = set(findings(ast.parse(file.read_text())))
    assert found - EXPECTED.get(str(file.relative_to(SOURCE)), set()) == set()


@pytest.mark.parametrize(
    "text",
    [
        "eval(x)", "exec(x)", "import pickle", "from subprocess import run", "yaml.load(x)", "run(x, shell=True)",
        "os.system(x)", "db.execute(f'SELECT {x}')", "db.execute('SELECT ' + x)", "db.execute('SELECT {}'.format(x))",
        "get(x, verify=False)", "hashlib.md5(x)",
    ],
)  # fmt: skip
def test_the_search_finds_what_it_looks_for(text: str) -> None:
    assert list(findings(ast.parse(text)))
