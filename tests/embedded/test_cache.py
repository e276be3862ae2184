"""An entry of the cache is whole or not there: killed builds, full disks and two at once."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_istio_egress.embedded.cache import Cache
from pytest_istio_egress.embedded.errors import EmbeddedError

BUILDER = """
import sys, signal
from pathlib import Path
from pytest_istio_egress.embedded.cache import Cache
def make(into):
    (into / "half").write_text("made")
    print("half", flush=True)
    signal.pause()
Cache(Path(sys.argv[1])).get("kind", "key", make)
"""


def make(into: Path) -> None:
    (into / "binary").write_text("whole", encoding="utf-8")


def test_a_second_ask_makes_nothing(tmp_path: Path) -> None:
    cache, made = Cache(tmp_path), []

    def counted(into: Path) -> None:
        made.append(into)
        make(into)

    assert cache.get("kind", "key", counted) == cache.get("kind", "key", counted)
    assert len(made) == 1
    assert (cache.path("kind", "key") / "binary").read_text(encoding="utf-8") == "whole"


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    cache = Cache(tmp_path)

    def fails(into: Path) -> None:
        make(into)
        raise EmbeddedError("no")

    with pytest.raises(EmbeddedError, match="no"):
        cache.get("kind", "key", fails)
    assert not cache.has("kind", "key")
    assert not list((tmp_path / "unfinished").iterdir())


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_line_with_a_remedy(tmp_path: Path, code: int) -> None:
    def full(into: Path) -> None:
        make(into)
        raise OSError(code, "full")

    with pytest.raises(EmbeddedError) as raised:
        Cache(tmp_path).get("kind", "key", full)
    assert str(tmp_path) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "ISTIO_EGRESS_CACHE" in (raised.value.remedy or "")
    assert not list((tmp_path / "unfinished").iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    script = f"""
import subprocess, sys
from pathlib import Path
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", {str(tmp_path)!r}], check=True)
from pytest_istio_egress.embedded.cache import Cache
from pytest_istio_egress.embedded.errors import EmbeddedError
cache = Cache(Path({str(tmp_path)!r}))
try:
    cache.get("kind", "key", lambda into: (into / "big").write_bytes(bytes(1 << 20)) and None)
except EmbeddedError as error:
    print(error)
print(cache.has("kind", "key"), [file.name for file in Path({str(tmp_path)!r}).rglob("big")])
"""
    command = ["unshare", "--mount", sys.executable, "-c", script]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "no space left" in said[0]
    assert said[1] == "False []"


def test_what_a_killed_build_left_is_swept_and_not_believed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", BUILDER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as builder:
        assert builder.stdout is not None
        assert builder.stdout.readline() == "half\n"
        builder.send_signal(signal.SIGKILL)
    cache = Cache(tmp_path)
    assert (tmp_path / "unfinished" / "kind-key" / "half").is_file()
    assert not cache.has("kind", "key")
    cache.get("other", "key", make)
    assert not list((tmp_path / "unfinished").iterdir())
    assert cache.get("kind", "key", make).joinpath("binary").is_file()


def test_a_build_that_goes_on_is_not_swept(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", BUILDER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as builder:
        assert builder.stdout is not None
        builder.stdout.readline()
        Cache(tmp_path).get("other", "key", make)
        assert (tmp_path / "unfinished" / "kind-key" / "half").is_file()
        builder.kill()


def test_two_at_once_make_it_once(tmp_path: Path) -> None:
    made = []

    def counted(into: Path) -> None:
        made.append(into)
        make(into)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: Cache(tmp_path).get("kind", "key", counted), range(4)))
    assert len(made) == 1
