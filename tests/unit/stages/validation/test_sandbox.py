"""What a confined program says, and what is made of it. That programs are confined is shown by running some."""

import asyncio
import doctest
import sys
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.stages.validation.confined import examples_in, run
from polyroute.stages.validation.sandbox import Outcome, Sandbox, outcome, same

ONE = ">>> f(2)\n4\n"


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    """Where nothing can be confined, the gateway does not start either: this test says why."""
    made = Sandbox()
    assert made.problem() is None
    return made


@pytest.mark.parametrize(
    ("want", "got", "expected"),
    [
        ("4", "4", True),
        ("4", "5", False),
        ("4", "4.0", True),
        ("0.3", "0.30000000000000004", True),
        ("0.3", "0.30001", False),
        ("[1, 2.0]", "[1,  2.0000000001]", True),
        ("[1, 2]", "(1, 2)", False),
        ("None", "", True),
        ("'a'", '"a"', True),
        ("True", "1", True),
        ("Traceback (most recent call last):\n  ...\nValueError: no", "Traceback ValueError: other words", True),
        ("Traceback (most recent call last):\n  ...\nValueError: no", "Traceback KeyError: no", False),
        ("Traceback (most recent call last):\nshop.Sold: no", "Traceback Sold: over\ntwo lines", True),
        ("Traceback (most recent call last): ValueError", "Traceback ValueError: no", True),
        ("Traceback", "Traceback ValueError: no", False),
        ("Traceback (most recent call last): ", "Traceback ValueError: no", False),
        ("3", "Traceback ValueError: no", False),
        ("x y", "x  y", True),
        ("(" * 500, ")" * 500, False),
    ],
)
def test_what_came_out_is_compared_as_a_value(want: str, got: str, expected: bool) -> None:
    assert same(want, got) is expected


@given(st.text())
def test_whatever_came_out_is_the_same_as_itself(said: str) -> None:
    assert same(said, said)


@given(st.binary(max_size=200))
def test_whatever_the_process_says_is_an_outcome(said: bytes) -> None:
    assert isinstance(outcome(said), Outcome)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (b"", Outcome(fault="the confined process did not start")),
        (b'{"wants": ["1"]}\n', Outcome(examples=1, fault="ended before its examples did: out of time or memory")),
        (b'{"wants": ["1"]}\n[]\n', Outcome(examples=1, fault="ended before its examples did: out of time or memory")),
        (b'{"wants": ["1", "2"]}\n{"gots": ["1", "3"], "fault": null}\n', Outcome(examples=2, passed=1)),
        (b'{"wants": ["1"]}\n{"gots": [], "fault": "NameError: f"}\n', Outcome(examples=1, fault="NameError: f")),
        (b'{"wants": ["1"]}\n{"gots": ["1", "1", "1"]}\n', Outcome(examples=1, passed=1)),
    ],
)
def test_an_outcome_is_read_from_two_lines(said: bytes, expected: Outcome) -> None:
    assert outcome(said) == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (ONE, [("f(2)\n", "4\n")]),
        ("def f(x):\n    '''\n    >>> f(1)\n    1\n    '''\n", [("f(1)\n", "1\n")]),
        ("Write f.\nassert f(1) == 2\n", [("assert f(1) == 2\n", "")]),
        ("nothing is shown", []),
        (">>>f(1)\n1\n", []),
    ],
)
def test_examples_are_what_the_question_shows(asked: str, expected: list[tuple[str, str]]) -> None:
    assert [(example.source, example.want) for example in examples_in(asked)] == expected


def test_a_programs_own_words_are_no_result_and_its_error_is_a_fault() -> None:
    examples = [doctest.Example("f(2)\n", "4\n")]
    assert run("", "print('noise')\ndef f(x): return x * 2\n", examples) == {"gots": ["4\n"], "fault": None}
    assert run("", "1 / 0", examples) == {"gots": [], "fault": "ZeroDivisionError: division by zero"}
    assert run("", "def f(x): raise SystemExit", examples) == {"gots": ["Traceback SystemExit: "], "fault": None}
    assert run("this is no Python (", "def f(x): return 4", examples)["gots"] == ["4\n"]


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("def f(x): return x * 2", Outcome(examples=1, passed=1)),
        ("def f(x): return x", Outcome(examples=1, passed=0)),
        ("def f(x): return len(open('/etc/passwd').read()) and 4", Outcome(examples=1, passed=0)),
        ("import os\ndef f(x): return os.fork() * 0 + 4", Outcome(examples=1, passed=0)),
        ("def f(x):\n    import socket\n    socket.socket()\n    return 4", Outcome(examples=1, passed=0)),
        ("def f(x):\n    import os\n    os.kill(1, 9)\n    return 4", Outcome(examples=1, passed=0)),
    ],
    ids=["right", "wrong", "opens", "forks", "connects", "kills"],
)
async def test_a_program_can_do_nothing_but_compute(sandbox: Sandbox, program: str, expected: Outcome) -> None:
    assert await sandbox.run(ONE, program) == expected


@pytest.mark.parametrize(
    "program", ["x = 'a' * 10 ** 10", "import os\nos.write(1, b'{\"wants\": []}\\n')"], ids=["memory", "speaks itself"]
)
async def test_a_program_out_of_bounds_passes_nothing(sandbox: Sandbox, program: str) -> None:
    assert (await sandbox.run(ONE, program)).passed == 0


async def test_a_program_over_its_time_is_ended(sandbox: Sandbox) -> None:
    found = await Sandbox(wall_s=0.2).run(ONE, "while True: pass")
    assert found.fault == "was not done within 0.2 s"


async def test_who_gives_up_leaves_no_process() -> None:
    """The child is ended with the question; `Children` of this process are all reaped."""
    asked = asyncio.ensure_future(Sandbox().run(ONE, "while True: pass"))
    while not _children():
        await asyncio.sleep(0)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    assert not _children()


async def test_too_long_a_program_is_not_run() -> None:
    assert (await Sandbox().run("", "#" * 300_000)).fault == "more than 200000 characters are not run"


def _children() -> list[bytes]:
    """Confined processes of this one."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        for pid in (task / "children").read_text().split():
            command = Path(f"/proc/{pid}/cmdline")
            if command.exists() and b"confined" in command.read_bytes():
                found.append(command.read_bytes())
    return found


def test_what_the_process_may_not_have_ends_it(tmp_path: Path) -> None:
    """A machine whose system calls are not known is no place to run programs."""
    code = (
        "import platform, sys; platform.machine = lambda: 'abacus'; sys.argv = ['confined', '/'];"
        "from polyroute.stages.validation import confined; confined.main()"
    )
    asked = orjson.dumps({"asked": ONE, "program": "x = 1"})
    done = asyncio.run(_ended(code, asked))
    assert done == (1, b"", "abacus is no machine whose system calls are known here\n")


async def _ended(code: str, asked: bytes) -> tuple[int | None, bytes, str]:
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdin=pipe, stdout=pipe, stderr=pipe)
    out, err = await child.communicate(asked)
    return child.returncode, out, err.decode()
