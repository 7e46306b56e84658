"""What the soak asks for."""

from random import Random

import pytest
from bench.mix import MIXES, Mix
from bench.variants import gateway_document


@pytest.mark.parametrize(("name", "share"), [("mixed", 0.2), ("failing", 0.8)])
def test_the_share_in_trouble_is_as_said(name: str, share: float) -> None:
    assert MIXES[name].troubled_share == pytest.approx(share)


@pytest.mark.parametrize("mix", MIXES.values(), ids=lambda mix: mix.name)
def test_every_kind_is_drawn_and_has_its_route(mix: Mix) -> None:
    random = Random(1)
    document = gateway_document(8080, mix.shapes)
    assert {mix.draws(random).name for _ in range(2000)} == {kind.name for kind, _ in mix.kinds}
    assert all(f"  {kind.model}{kind.shape}: {{primary:" in document for kind, _ in mix.kinds)


def test_kinds_have_names_of_their_own() -> None:
    kinds = [kind for kind, _ in MIXES["mixed"].kinds]
    assert len({kind.name for kind in kinds}) == len(kinds)
