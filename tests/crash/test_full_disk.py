import subprocess
import sys
from pathlib import Path


def test_a_full_disk_refuses_and_a_freed_one_serves_again(tmp_path: Path) -> None:
    child = [sys.executable, str(Path(__file__).with_name("full_disk_child.py")), str(tmp_path / "books.db")]
    ended = subprocess.run(child, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (0, "ok\n"), ended.stderr
