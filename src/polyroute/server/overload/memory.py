"""How much memory this process may use: its control group's limit, else the machine's."""

import os
from pathlib import Path

_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def memory_bytes(limits: tuple[Path, ...] = _LIMITS) -> int:
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for file in limits:
        try:
            said = file.read_text().strip()
        except OSError:  # no such control group
            continue
        if said.isdigit():
            return min(int(said), machine)
    return machine
