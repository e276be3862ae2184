"""Writes container images from local binaries, and unpacks them into a containerd store that clusters start from."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

from pytest_istio_egress.embedded.cache import no_space
from pytest_istio_egress.embedded.errors import EmbeddedError
from pytest_istio_egress.embedded.go_modules import last_line
from pytest_istio_egress.embedded.isolation import isolated
from pytest_istio_egress.embedded.versions import Image

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
SEARCH_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# containerd runs for this one import in new namespaces: it and its mounts end with the shell.
IMPORT = r"""
set -e
mount -t tmpfs tmpfs /run
cd "$1"
"$2/containerd" --root "$1/store" --state /run/containerd --address /run/containerd.sock --config /dev/null \
  > containerd.log 2>&1 &
tries=0
until "$2/ctr" --address /run/containerd.sock version > /dev/null 2>&1; do
  tries=$((tries + 1)); [ $tries -lt 200 ] || { tail -n 5 containerd.log >&2; exit 1; }
  sleep 0.1
done
for archive in images/*.tar; do
  "$2/ctr" --address /run/containerd.sock --namespace k8s.io images import --snapshotter overlayfs "$archive" \
    > /dev/null
done
kill $!
wait $! || true
"""


def make_image_store(
    images: tuple[Image, ...], files: Mapping[str, Path], root: Path, containerd: Path, into: Path
) -> None:
    """Make `into`/store: a containerd root directory with every image unpacked.

    `files` maps "component/file" to a path; `root` is the shared layer's tar; `containerd` is the folder of its
    binaries.
    """
    archives = into / "images"
    archives.mkdir()
    shared = (root, _digest(root))
    for number, image in enumerate(images):
        _write_archive(image, files, shared, archives / f"{number:02}.tar")
    done = subprocess.run(
        isolated("sh", "-c", IMPORT, "import", str(into), str(containerd)),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        if "no space left" in done.stderr:
            raise no_space(into)
        raise EmbeddedError(f"containerd could not unpack the images: {last_line(done.stderr)}\n{done.stderr}".strip())
    for archive in archives.iterdir():
        archive.unlink()
    archives.rmdir()
    (into / "containerd.log").unlink()


def make_image_archive(image: Image, files: Mapping[str, Path], root: Path, archive: Path) -> None:
    """Write one image as a docker-archive; `files` and `root` as for a whole store."""
    _write_archive(image, files, (root, _digest(root)), archive)


def _write_archive(image: Image, files: Mapping[str, Path], shared: tuple[Path, str], archive: Path) -> None:
    """Write one docker-archive: the shared layer, the image's own layer, its configuration."""
    own = archive.with_suffix(".layer")
    _write_layer(image, files, own)
    configuration = json.dumps(_configuration(image, [shared[1], _digest(own)])).encode()
    name = hashlib.sha256(configuration).hexdigest() + ".json"
    manifest = [{"Config": name, "RepoTags": [image.name], "Layers": ["root.tar", "own.tar"]}]
    with tarfile.open(archive, "w") as out:
        out.add(shared[0], "root.tar")
        out.add(own, "own.tar")
        _add_bytes(out, name, configuration)
        _add_bytes(out, "manifest.json", json.dumps(manifest).encode())
    own.unlink()


def _write_layer(image: Image, files: Mapping[str, Path], layer: Path) -> None:
    with tarfile.open(layer, "w") as out:
        for directory in ("tmp", *image.directories):
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777
            out.addfile(entry)
        for path, source in image.files.items():
            entry = out.gettarinfo(files[source], path)
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            with files[source].open("rb") as content:
                out.addfile(entry, content)


def _configuration(image: Image, layers: list[str]) -> dict[str, object]:
    environment = [SEARCH_PATH, *(f"{name}={value}" for name, value in image.environment.items())]
    process: dict[str, object] = {"Env": environment, "User": image.user, "WorkingDir": "/"}
    if image.entrypoint:
        process["Entrypoint"] = list(image.entrypoint)
    if image.cmd:
        process["Cmd"] = list(image.cmd)
    return {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": process,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}" for layer in layers]},
        "history": [{} for _ in layers],
    }


def _add_bytes(out: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    out.addfile(entry, io.BytesIO(content))


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
