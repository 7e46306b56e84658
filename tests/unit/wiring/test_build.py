import time
from pathlib import Path

import pytest

from polyroute.config.load import loads
from polyroute.errors import ConfigError
from polyroute.journey import Entry
from polyroute.types.access import Caller
from polyroute.types.request import ask
from polyroute.wiring.build import open_gateway

DOCUMENT = """
classifier: {classifier}
models: {{small: simulated/small}}
routes: {{r: {{primary: small}}}}
"""


@pytest.mark.parametrize(("name", "version"), [("heuristic", "heuristic@1"), ("article", "article@1")])
async def test_the_document_names_the_classifier(name: str, version: str, tmp_path: Path) -> None:
    loaded = loads(DOCUMENT.format(classifier=name), {}, folder=tmp_path)
    async with open_gateway(loaded, {}) as built:
        entry = Entry(request_id="r", arrived_s=time.monotonic(), door="test")
        prepared = built.path.prepare(ask("r", "Compare them"), Caller(), entry)
    seen = prepared.draft.classification
    assert seen is not None
    assert seen.classifier == version


async def test_a_classifier_that_is_not_installed_stops_the_start(tmp_path: Path) -> None:
    loaded = loads(DOCUMENT.format(classifier="clairvoyant"), {}, folder=tmp_path)
    with pytest.raises(ConfigError, match="clairvoyant"):
        async with open_gateway(loaded, {}):
            pass
