from polyroute.state.places import Place, Places


def place(at: str, now_s: float = 0.0) -> Place:
    return Place(deployment=at, cached_tokens=0, at_s=now_s)


def test_the_newest_place_is_found_until_it_is_too_old() -> None:
    places = Places()
    places.keep("t", "m", b"k", place("a"))
    places.keep("t", "m", b"k", place("b", 10.0))
    assert places.find("t", "m", b"k", 60.0, 70.0) == place("b", 10.0)
    assert places.find("t", "m", b"k", 60.0, 70.1) is None


def test_tenants_models_and_keys_are_apart() -> None:
    places = Places()
    places.keep("t", "m", b"k", place("a"))
    assert places.find("other", "m", b"k", 60.0, 0.0) is None
    assert places.find("t", "other", b"k", 60.0, 0.0) is None
    assert places.find("t", "m", b"other", 60.0, 0.0) is None


def test_one_tenant_s_flood_forgets_its_own_oldest_and_nobody_else_s() -> None:
    places = Places()
    places.keep("quiet", "m", b"k", place("a"))
    for n in range(5000):
        places.keep("loud", "m", b"%d" % n, place("a"))
    assert places.find("quiet", "m", b"k", 60.0, 0.0) is not None
    assert places.find("loud", "m", b"0", 60.0, 0.0) is None
    assert places.find("loud", "m", b"4999", 60.0, 0.0) is not None


def test_only_so_many_tenants_are_remembered() -> None:
    places = Places()
    for n in range(1000):
        places.keep(f"t{n}", "m", b"k", place("a"))
    assert places.find("t0", "m", b"k", 60.0, 0.0) is None
    assert places.find("t999", "m", b"k", 60.0, 0.0) is not None
