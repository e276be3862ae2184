"""The settings of the Go compiler's garbage collector: it runs seldom where the machine has memory for that."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

SELDOM = "800"
"""GOGC: how much the heap may grow between two collections, in percent; Go's default is 100."""
SHARE = 0.7
"""The share of the available memory that the compilers may use together; `go build` itself uses some, too."""
LEAST = 768 * 2**20
"""With less memory for each compiler, the defaults of Go are better: the limit would make it collect all the time."""
GROUPS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def collector_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables to add to the environment of `go build`; those that the user has set stay as they are.

    They change how fast a compiler runs, and not what it writes.
    """
    if {"GOGC", "GOMEMLIMIT"} & set(environment):
        return {}
    return settings_for(available_memory(), os.cpu_count() or 1)


def settings_for(memory: int, processors: int) -> dict[str, str]:
    """Return the settings for so many bytes; Go runs one compiler per processor.

    The limit is one at which a compiler collects more often; it does not end it.
    """
    each = int(memory * SHARE / processors)
    return {"GOGC": SELDOM, "GOMEMLIMIT": str(each)} if each >= LEAST else {}


def available_memory(meminfo: Path = Path("/proc/meminfo"), limits: Iterable[Path] = GROUPS) -> int:
    """Return the bytes that are available: those of the machine, or the limit of this container if that is less."""
    lines = dict(line.split(":", 1) for line in meminfo.read_text(encoding="ascii").splitlines())
    free = int(lines["MemAvailable"].split()[0]) * 1024
    stated = [limit.read_text(encoding="ascii").strip() for limit in limits if limit.is_file()]
    return min([free, *(int(limit) for limit in stated if limit.isdigit())])
