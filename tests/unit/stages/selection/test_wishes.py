import pytest

from polyroute.errors import InvalidRequest
from polyroute.stages.selection.wishes import wish_of
from polyroute.types.caching import CacheWish


@pytest.mark.parametrize(
    ("body", "header", "wish"),
    [
        (None, None, CacheWish()),
        ({}, None, CacheWish()),
        ({"no-cache": True}, None, CacheWish(reads=False)),
        ({"no-cache": False, "use-cache": True}, None, CacheWish()),
        ({"no-store": True}, None, CacheWish(stores=False)),
        ({"ttl": 60, "s-maxage": 30}, None, CacheWish(ttl_s=60.0, max_age_s=30.0)),
        ({"ttl": 0}, None, CacheWish(stores=False, ttl_s=0.0)),
        ({"namespace": "n"}, None, CacheWish(namespace="n")),
        (None, "no-cache", CacheWish(reads=False)),
        (None, "no-store, max-age=5", CacheWish(stores=False, max_age_s=5.0)),
        (None, 'MAX-AGE="7", something=else', CacheWish(max_age_s=7.0)),
        (None, "max-age=soon, max-stale", CacheWish()),
        ({"s-maxage": 30}, "max-age=5", CacheWish(max_age_s=5.0)),
    ],
)
def test_what_a_caller_says_is_heard(body: object, header: str | None, wish: CacheWish) -> None:
    assert wish_of(body, header) == wish


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("no", "cache"),
        ([], "cache"),
        ({"no-cache": "yes"}, "cache.no-cache"),
        ({"ttl": -1}, "cache.ttl"),
        ({"ttl": True}, "cache.ttl"),
        ({"ttl": 10**30}, "cache.ttl"),
        ({"s-maxage": "5"}, "cache.s-maxage"),
        ({"namespace": 5}, "cache.namespace"),
        ({"namespace": "x" * 500}, "cache.namespace"),
        ({"nocache": True}, "cache.nocache"),
    ],
)
def test_a_mistake_is_told_by_its_field(body: object, field: str) -> None:
    with pytest.raises(InvalidRequest) as told:
        wish_of(body, None)
    assert told.value.field == field
