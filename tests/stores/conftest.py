"""One real PostgreSQL and one real Valkey per worker; each test has a database, or a server, of its own."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from tests.rig.servers import Postgres, Valkey, postgres, valkey
from tests.stores.counting import Counting, InFile, InValkey

_NUMBERS = count()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture
def database(postgres_server: Postgres) -> str:
    """The address of an empty database."""
    name = f"books{next(_NUMBERS)}"
    postgres_server.run(f"CREATE DATABASE {name}")
    return postgres_server.url(name)


@pytest.fixture(params=["valkey", "file"])
def counting(request: pytest.FixtureRequest, tmp_path: Path) -> Counting:
    if request.param == "file":
        return InFile(tmp_path / "counters")
    server: Valkey = request.getfixturevalue("valkey_server")
    return InValkey(server)


@pytest.fixture
def valkey_server() -> Iterator[Valkey]:
    with valkey() as server:
        yield server
