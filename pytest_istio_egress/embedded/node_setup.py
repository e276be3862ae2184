"""Prepares the node's namespaces: mounts, the image store, the network without a way out."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from pytest_istio_egress.embedded.cgroups import mount_own_cgroups
from pytest_istio_egress.embedded.node_plan import NODE_ADDRESS, RUN, NodePlan

# The node's address sits on a bridge without ports (some kernels have no dummy device). A packet to anywhere
# but a pod takes the default route into it, and no other device exists: there is nothing behind it.
#
#   pod -> node -> default route -> node0 -> nowhere
LINKS = f"""
link set lo up
link add node0 type bridge
address add {NODE_ADDRESS}/24 dev node0
link set node0 up
route add default dev node0
"""


def set_up_files(plan: NodePlan) -> None:
    """Lay memory over what components write outside their own folders, and link the cached images in."""
    for folder in ("/run", "/var/log", "/var/lib/kubelet", "/var/lib/cni"):
        if Path(folder).is_dir():
            subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", folder], check=True)
    for folder in (RUN, Path("/run/netns"), Path("/run/lock")):
        folder.mkdir(mode=0o755)
    mount_own_cgroups()
    link_images(plan.images / "store", RUN / "containerd")


def link_images(store: Path, root: Path) -> None:
    """Make a containerd root whose blobs and unpacked layers are links into the cache.

    containerd only ever adds to these: layers are lower directories of overlays, and its two databases,
    which it does write, are copied.
    """
    blobs = Path("io.containerd.content.v1.content/blobs/sha256")
    snapshots = Path("io.containerd.snapshotter.v1.overlayfs")
    for folder in (blobs, snapshots / "snapshots"):
        (root / folder).mkdir(parents=True)
        for entry in (store / folder).iterdir():
            (root / folder / entry.name).symlink_to(entry)
    for database in (Path("io.containerd.metadata.v1.bolt/meta.db"), snapshots / "metadata.db"):
        (root / database).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(store / database, root / database)


def set_up_network() -> None:
    """Bring up loopback and the node's address, and let the node route."""
    subprocess.run(["ip", "-batch", "-"], input=LINKS.encode(), check=True, capture_output=True)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1\n", encoding="ascii")
