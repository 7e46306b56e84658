import subprocess
import sys
from pathlib import Path


def test_a_full_disk_refuses_and_a_freed_one_serves_again(tmp_path: Path) -> None:
    child = [sys.executable, str(Path(__file__).with_name("full_disk_child.py")), str(tmp_path / "books.db")]
    ended = subprocess.run(child, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (0, "ok\n"), ended.stderr


def test_nor_does_a_disk_that_is_really_full_lose_or_tear_a_row(tmp_path: Path) -> None:
    child = [sys.executable, str(Path(__file__).with_name("full_tmpfs_child.py")), str(tmp_path)]
    ended = subprocess.run(child, capture_output=True, text=True, timeout=60)
    print(f"a tmpfs of its own: {ended.stdout}")
    assert ended.returncode == 0, ended.stderr
    if ended.stdout != "not here\n":  # then the limit on file size, above, stands for it
        word, back_s = ended.stdout.split()
        assert word == "ok"
        assert float(back_s) <= 2.0


def test_a_gateway_on_a_full_disk_refuses_before_it_calls_anybody_and_goes_on_by_itself(tmp_path: Path) -> None:
    child = [sys.executable, "-m", "tests.crash.full_door_child", str(tmp_path)]
    ended = subprocess.run(child, capture_output=True, text=True, timeout=60, cwd=Path(__file__).parents[2])
    print(f"a tmpfs of its own, under a gateway: {ended.stdout}")
    assert ended.returncode == 0, ended.stderr
    if ended.stdout != "not here\n":  # mounting needs root: without it, the limit on file size above stands for it
        word, refused, unsettled, back_s = ended.stdout.split()
        assert (word, int(refused)) == ("ok", 80)
        assert int(unsettled) <= 8
        assert float(back_s) <= 2.0
