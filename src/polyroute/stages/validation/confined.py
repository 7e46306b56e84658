"""The process that runs a program on examples: it takes every ability from itself first. `sandbox.py` starts it.

Its own namespaces for users, network, mounts and IPC; the root is an empty folder; no capability is left; a seccomp
filter allows memory, clocks, and reading and writing what is open: nothing can be opened, started or connected any
more. Its programs may use the modules that it has loaded before that, and no others. It leaves with an error where
one of these cannot be had.

Sources: unshare(2), capabilities(7), seccomp(2); system call numbers of Linux 6.1, `asm/unistd.h`.
"""

import contextlib
import ctypes
import doctest
import importlib
import io
import json
import os
import platform
import resource
import struct
import sys
from typing import Any

# What programs may import: it must be here before the doors close.
_LOADED = (
    "abc array bisect collections collections.abc copy cmath dataclasses datetime decimal enum fractions functools "
    "hashlib heapq itertools json math operator random re statistics string textwrap time types typing unicodedata "
    "_strptime"
)

_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x40000000
_NO_NEW_PRIVS, _SECCOMP, _FILTER = 38, 22, 2
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | 1  # EPERM
_QUOTES = ('"""', "'''")
_CPU_S, _MEMORY, _MOST_OUT = 2, 512 << 20, 4_000

_CALLS = (
    *("read", "write", "close", "fstat", "lseek", "mmap", "mprotect", "munmap", "brk", "mremap", "madvise", "futex"),
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "sched_yield", "nanosleep", "clock_nanosleep"),
    *("clock_gettime", "gettimeofday", "getrandom", "getpid", "gettid", "getrusage", "exit", "exit_group"),
    "restart_syscall",
)
# By machine: how the kernel calls it, the number of capset, and the numbers of _CALLS.
_MACHINES = {
    "x86_64": (0xC000003E, 126, (
        0, 1, 3, 5, 8, 9, 10, 11, 12, 25, 28, 202, 13, 14, 15, 131, 24, 35, 230, 228, 96, 318, 39,
                                 186, 98, 60, 231, 219)),
    "aarch64": (0xC00000B7, 91, (
        63, 64, 57, 80, 62, 222, 226, 215, 214, 216, 233, 98, 134, 135, 139, 132, 124, 101, 115, 113,
                                 169, 278, 172, 178, 165, 93, 94, 128)),
}  # fmt: skip


def confine(root: str) -> None:
    """Takes every ability away. Raises OSError where one of them cannot be taken."""
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        raise OSError(f"{platform.machine()} is no machine whose system calls are known here")
    arch, capset, calls = machine
    libc = ctypes.CDLL(None, use_errno=True)
    _must(libc.unshare(_NEWUSER | _NEWNET | _NEWNS | _NEWIPC | _NEWUTS), "namespaces of its own")
    os.chroot(root)
    os.chdir("/")
    for limit, most in (
        (resource.RLIMIT_CPU, _CPU_S),
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 3),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    none = ctypes.create_string_buffer(24)
    _must(libc.syscall(capset, ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0)), none), "no capability")
    _must(libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
    rules = [(0x20, 0, 0, 4), (0x15, 1, 0, arch), (0x06, 0, 0, 0x80000000), (0x20, 0, 0, 0)]
    rules += [(0x15, len(calls) - at, 0, call) for at, call in enumerate(calls)]
    rules += [(0x06, 0, 0, _REFUSE), (0x06, 0, 0, _ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *rule) for rule in rules))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(rules), ctypes.addressof(code)))
    _must(libc.prctl(_SECCOMP, _FILTER, program, 0, 0), "a filter of system calls")


def _must(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what} cannot be had: {os.strerror(ctypes.get_errno())}")


def examples_in(asked: str) -> list[doctest.Example]:
    """What the question shows as `>>>`, and lines that assert."""
    lines = ["" if line.strip() in _QUOTES else line for line in asked.splitlines()]  # the end of a docstring
    try:
        found = doctest.DocTestParser().get_examples("\n".join(lines))
    except ValueError:
        found = []
    asserted = [line.strip() for line in asked.splitlines() if line.strip().startswith("assert ")]
    return [*found, *(doctest.Example(f"{line}\n", "") for line in asserted)]


def run(given: str, program: str, examples: list[doctest.Example]) -> dict[str, Any]:
    """What came out of each example; `fault` where the program itself fails."""
    space: dict[str, Any] = {"__name__": "candidate"}
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(Exception):
        exec(compile(given, "question", "exec"), space)  # noqa: S102 - confined: that is what this process is for
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(program, "answer", "exec"), space)  # noqa: S102 - as above
    except BaseException as exc:  # noqa: BLE001 - whatever a program raises is its own fault
        return {"gots": [], "fault": f"{type(exc).__name__}: {str(exc)[:100]}"}
    return {"gots": [_got(example.source, space) for example in examples], "fault": None}


def _got(source: str, space: dict[str, Any]) -> str:
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            exec(compile(source, "example", "single"), space)  # noqa: S102 - as above
    except BaseException as exc:  # noqa: BLE001 - as above
        return f"Traceback {type(exc).__name__}: {str(exc)[:100]}"
    return out.getvalue()[:_MOST_OUT]


def main() -> None:
    asked = json.loads(sys.stdin.buffer.read())
    for name in _LOADED.split():
        importlib.import_module(name)
    sys.setrecursionlimit(2_000)
    try:
        confine(sys.argv[1])
    except OSError as exc:
        sys.exit(str(exc))
    examples = examples_in(asked["asked"])
    _tell({"wants": [example.want for example in examples]})
    _tell(run(asked["asked"], asked["program"], examples))


def _tell(said: dict[str, Any]) -> None:
    data = json.dumps(said).encode() + b"\n"
    while data:
        data = data[os.write(1, data) :]


if __name__ == "__main__":
    main()
