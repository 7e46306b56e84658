"""What a request names at its provider is found wherever it is named, and nothing else is taken for it."""

import pytest

from polyroute.dialects.named_ids import named_ids
from polyroute.types.request import Reference


@pytest.mark.parametrize(
    ("value", "found"),
    [
        pytest.param(None, (), id="nothing"),
        pytest.param({"type": "code_interpreter", "container": "c"}, (("c", "t.container"),), id="a container"),
        pytest.param({"container": {"type": "auto"}}, (), id="a new container"),
        pytest.param({"container": {"file_ids": ["f", 3, "g"]}},
                     (("f", "t.container.file_ids[0]"), ("g", "t.container.file_ids[2]")), id="files for a new one"),
        pytest.param({"vector_store_ids": ["v"]}, (("v", "t.vector_store_ids[0]"),), id="a store of files"),
        pytest.param({"environment": {"container_id": "c"}}, (("c", "t.environment.container_id"),), id="a shell's"),
        pytest.param([{"a": {"file_id": "f"}}, {"file_id": "g"}],
                     (("f", "t[0].a.file_id"), ("g", "t[1].file_id")), id="in a list"),
        pytest.param({"properties": {"file_id": {"type": "string"}}, "required": ["file_id"]}, (), id="of a schema"),
    ],
)  # fmt: skip
def test_ids_are_found_with_their_place(value: object, found: tuple[tuple[str, str], ...]) -> None:
    assert tuple(named_ids(value, "t")) == tuple(Reference(id=one, field=at) for one, at in found)
