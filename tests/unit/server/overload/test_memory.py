"""What memory there is for this process."""

from pathlib import Path

from polyroute.server.overload.memory import memory_bytes


def test_a_control_groups_limit_counts_and_none_leaves_the_machines(tmp_path: Path) -> None:
    machine = memory_bytes(())
    limited, unlimited, missing = tmp_path / "limited", tmp_path / "unlimited", tmp_path / "missing"
    limited.write_text("536870912\n")
    unlimited.write_text("max\n")
    assert memory_bytes((missing, limited)) == 536870912
    assert memory_bytes((unlimited, missing)) == machine > 0
