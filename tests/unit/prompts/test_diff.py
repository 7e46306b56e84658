from polyroute.prompts.diff import differences
from polyroute.types.prompts import Variable, Variant, Wordings


def test_the_lines_that_differ() -> None:
    old = Wordings(variants={"default": Variant(system="Be kind.\nBe short.")})
    new = Wordings(variants={"default": Variant(system="Be kind.\nBe brief.")}, variables={"a": Variable()})
    lines = differences("p", (1, old), (2, new))
    assert lines[:2] == ["--- p@1", "+++ p@2"]
    assert {"-    Be short.", "+    Be brief.", "+variables.a: {}"} <= set(lines)
    assert differences("p", (1, old), (2, old)) == []
