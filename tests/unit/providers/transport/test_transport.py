import subprocess
import sys

import pytest

from polyroute.providers.transport import TransportName, open_transport
from polyroute.providers.transport.http1 import Http1Transport


def test_our_own_client_is_the_default() -> None:
    assert isinstance(open_transport(), Http1Transport)


@pytest.mark.parametrize(("name", "is_imported"), [("http1", False), ("aiohttp", True)])
def test_aiohttp_is_imported_only_where_it_is_chosen(name: TransportName, is_imported: bool) -> None:
    program = (
        "import sys; from polyroute.providers.transport import open_transport; "
        f"open_transport({name!r}); sys.exit('aiohttp' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == is_imported
