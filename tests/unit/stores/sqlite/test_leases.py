from pathlib import Path

from polyroute.stores.sqlite.leases import Lease, forget, is_live


def test_an_owner_lives_until_it_lets_go(tmp_path: Path) -> None:
    lease = Lease(tmp_path)
    assert is_live(tmp_path, lease.owner)
    assert is_live(tmp_path, lease.owner), "asking does not take it"
    lease.release()
    assert not is_live(tmp_path, lease.owner)
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_its_lock_belongs_to_nobody(tmp_path: Path) -> None:
    (tmp_path / "dead").touch()
    assert not is_live(tmp_path, "dead")
    forget(tmp_path, "dead")
    forget(tmp_path, "dead")
    assert not (tmp_path / "dead").exists()
