"""Measures README's first command with nothing cached: from its start to the first verdict, part by part.

    python benchmarks/first_result.py                      # once, about a quarter of an hour on two cores
    python benchmarks/first_result.py --parts coredns etcd # build these components alone
    python benchmarks/first_result.py --checkout FOLDER    # the same with the package in another checkout

Run as root. The caches of the package, of Go and of pip are empty folders. Seconds of the clock depend on
what else the machine does: the processor time of this command, and of all other processes, follows.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
CLUSTER = "first-result"
COMMAND = (
    "pytest", "--istio-egress", "--istio-egress-target", "embedded", "--istio-egress-name", CLUSTER, "-n", "2", "-v",
)  # fmt: skip
FINISHED = re.compile(r"(?:\[\d+/\d+\] )?(?P<step>[\w' .-]+): (?:built|fetched|made|rendered|ready) in (?P<taken>.+)")
VERDICT = re.compile(r"\b(PASSED|FAILED)\b")
BUILD = """
import sys
from pytest_istio_egress.embedded.cache import Cache
from pytest_istio_egress.embedded.progress import Lines
from pytest_istio_egress.embedded.versions import versions
from pytest_istio_egress.embedded.workshop import Workshop
with Lines(lambda line: print(line, flush=True)) as lines:
    shop = Workshop(Cache(), lines)
    for name in sys.argv[1:]:
        shop.component(versions().components[name])
"""


@dataclass(frozen=True)
class Moment:
    """What happened after how many seconds; `taken` is the duration that the step stated."""

    seconds: float
    what: str
    taken: str = ""


@contextmanager
def nothing_cached(kept: Path | None) -> Iterator[dict[str, str]]:
    """Yield an environment in which every cache is an empty folder: `kept`, or one that is removed at the end."""
    if kept is not None:
        kept.mkdir(parents=True)
        yield environment_in(kept)
        return
    with tempfile.TemporaryDirectory(prefix="first-result-", ignore_cleanup_errors=True) as folder:
        yield environment_in(Path(folder))
        for path in (Path(folder) / "go-modules").rglob("*"):  # Go writes the folders of modules read-only
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o755)


def environment_in(caches: Path) -> dict[str, str]:
    """Return an environment with all caches in this folder."""
    folders = {"ISTIO_EGRESS_CACHE": "parts", "GOCACHE": "go-build", "GOMODCACHE": "go-modules"}
    environment = {name: str(caches.absolute() / folder) for name, folder in folders.items()}
    return {**os.environ, **environment, "PIP_NO_CACHE_DIR": "1", "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}


def follow(command: list[str], checkout: Path, environment: dict[str, str]) -> Iterator[Moment]:
    """Run the command in a checkout and yield its steps, and its first verdict; what it prints is shown."""
    begun = time.monotonic()
    with subprocess.Popen(
        [sys.executable, *command],
        cwd=checkout,
        env={**environment, "PYTHONPATH": str(checkout)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        judged = False
        for line in process.stdout or ():
            sys.stderr.write(line)
            passed = time.monotonic() - begun
            if found := FINISHED.search(line):
                yield Moment(passed, found["step"].strip(), found["taken"].strip())
            elif not judged and VERDICT.search(line):
                judged = True
                yield Moment(passed, "first verdict")
    if process.returncode:
        sys.exit(f"benchmarks/first_result.py: the command ended with exit code {process.returncode}")
    yield Moment(time.monotonic() - begun, "end")


def processor_seconds() -> float:
    """Return the processor time of all processes of this machine since it started."""
    user, nice, system, *_ = Path("/proc/stat").read_text(encoding="ascii").split()[1:]
    return sum(map(int, (user, nice, system))) / os.sysconf("SC_CLK_TCK")


def own_seconds() -> tuple[float, float]:
    """Return the user and system time of the processes that ended below this one."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime, used.ru_stime


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", metavar="COMPONENT", help="build these components alone")
    parser.add_argument("--checkout", type=Path, default=HERE.parent, help="the checkout whose package is measured")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the caches in this folder, which is new")
    parser.add_argument("--tests", nargs="+", default=["conformance/service_entry"], help="the tests to run")
    chosen = parser.parse_args()
    command = ["-c", BUILD, *chosen.parts] if chosen.parts else ["-m", *COMMAND, *chosen.tests]
    all_before, clock_before = processor_seconds(), time.monotonic()
    print(f"{'ended':>8}{'took':>16}   step, seconds from the start")
    with nothing_cached(chosen.keep) as environment:
        for moment in follow(command, chosen.checkout.absolute(), environment):
            print(f"{moment.seconds:>8.1f}{moment.taken:>16}   {moment.what}", flush=True)
    user, system = own_seconds()
    passed = time.monotonic() - clock_before
    others = processor_seconds() - all_before - user - system
    print(f"processor time: {user:.0f} s user, {system:.0f} s system, other processes meanwhile {max(others, 0):.0f} s")
    print(f"of {passed * (os.cpu_count() or 1):.0f} s on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
