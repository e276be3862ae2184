"""Makes the root file system that all images share, out of the distribution's own packages."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from pytest_istio_egress.embedded.cache import no_space
from pytest_istio_egress.embedded.errors import EmbeddedError
from pytest_istio_egress.embedded.go_modules import last_line
from pytest_istio_egress.embedded.versions import recipe_key

# No scripts of packages run (--variant=extract), so the files that they would create are created here; $1 is the root.
FINISH = r"""
set -e
mkdir -p "$1/etc/ssl/certs" "$1/tmp" "$1/home"
cat "$1"/usr/share/ca-certificates/mozilla/*.crt > "$1/etc/ssl/certs/ca-certificates.crt"
printf '%s\n' root:x:0:0:root:/root:/bin/sh nobody:x:65534:65534:nobody:/:/usr/sbin/nologin \
  curl_user:x:100:101::/home/curl_user:/bin/sh nginx:x:101:101::/:/bin/sh istio-proxy:x:1337:1337::/:/bin/sh \
  > "$1/etc/passwd"
printf '%s\n' root:x:0: nogroup:x:65534: curl_group:x:101: istio-proxy:x:1337: > "$1/etc/group"
printf '%s\n' 'passwd: files' 'group: files' 'hosts: files dns' > "$1/etc/nsswitch.conf"
[ -e "$1/bin/sh" ] || ln -s bash "$1/bin/sh"
for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
  [ -e "$1/usr/sbin/$name" ] || ln -s xtables-nft-multi "$1/usr/sbin/$name"
done
rm -rf "$1"/usr/share/doc/* "$1"/usr/share/man/* "$1"/usr/share/locale/* "$1"/usr/share/info/* \
  "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/* "$1"/etc/apt/sources.list* "$1"/etc/resolv.conf "$1"/etc/hostname
"""


def root_filesystem_key(packages: tuple[str, ...]) -> str:
    """Return the cache key: the packages, the distribution's release and the script."""
    return recipe_key("root", packages, suite(), platform.machine(), FINISH)


def suite() -> str:
    """Return the distribution's code name, such as bookworm or noble."""
    return platform.freedesktop_os_release().get("VERSION_CODENAME", "stable")


def make_root_filesystem(packages: tuple[str, ...], into: Path) -> None:
    """Write `into`/root.tar with mmdebstrap, from the same mirrors that this machine's apt uses."""
    scratch = into / "scratch"
    scratch.mkdir()
    finish = into / "finish.sh"
    finish.write_text(f"#!/bin/sh\n{FINISH}", encoding="utf-8")
    finish.chmod(0o755)
    command = [
        "setpriv",
        "--pdeathsig",
        "TERM",
        "mmdebstrap",
        "--quiet",
        "--variant=extract",
        "--format=tar",
        f"--include={','.join(packages)}",
        f"--extract-hook={finish}",
        suite(),
        str(into / "root.tar"),
        *_mirrors(),
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        env={**os.environ, "TMPDIR": str(scratch), "DEBIAN_FRONTEND": "noninteractive"},
    )
    if done.returncode:
        if "No space left" in done.stderr:
            raise no_space(into)
        raise EmbeddedError(
            f"mmdebstrap could not make the images' root file system: {last_line(done.stderr)}", "apt-get update"
        )
    scratch.rmdir()
    finish.unlink()


def _mirrors() -> list[str]:
    """Return the apt source files of the distribution itself; those of third parties are left out."""
    folder = Path("/etc/apt")
    candidates = [
        folder / "sources.list",
        *(folder / "sources.list.d" / f"{name}.sources" for name in ("debian", "ubuntu")),
    ]
    return [str(file) for file in candidates if file.is_file() and _names_a_mirror(file)]


def _names_a_mirror(file: Path) -> bool:
    lines = file.read_text(encoding="utf-8").splitlines()
    return any(line.startswith(("deb ", "deb\t", "URIs:")) for line in lines)
