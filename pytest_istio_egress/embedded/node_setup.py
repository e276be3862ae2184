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
#   pod -> node -> default route -> node0: nowhere, and rejected on the way
#
# Without the reject a lookup made before kube-proxy has programmed the Service of DNS waits 5 s for an answer;
# of the codes that ICMP has, this is one that ends the wait of a UDP socket too.
LINKS = f"""
link set lo up
link add node0 type bridge
address add {NODE_ADDRESS}/24 dev node0
link set node0 up
route add default dev node0
"""
# Rejections are answered every time: with the usual limit of about one a second, a resolver that is told "no" a
# few times in a row gets silence next, and waits.
SETTINGS = {"ip_forward": "1", "icmp_ratelimit": "0"}
NOWHERE = """
table inet nowhere {
  chain forward {
    type filter hook forward priority filter
    oifname "node0" reject with icmpx admin-prohibited
  }
}
"""


def set_up_files(plan: NodePlan) -> None:
    """Lay memory over what components write outside their own folders, and link the cached images in."""
    for folder in (Path("/run"), Path("/var/log")):
        mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", str(folder))
    for folder in (RUN, Path("/run/netns"), Path("/run/lock")):
        folder.mkdir(mode=0o755)
    keep_writes_to_memory(Path("/var/lib"), (plan.state, plan.images))
    mount_own_cgroups()
    link_images(plan.images / "store", RUN / "containerd")


def mount(*arguments: str) -> None:
    """Mount something in the node's own mount namespace."""
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


def keep_writes_to_memory(folder: Path, but: tuple[Path, ...]) -> None:
    """Have what is written below `folder` go to memory, except below the places in `but`.

    The kubelet makes /var/lib/kubelet wherever its own folder is; this way the machine never sees it.
    """
    upper, work = RUN / "over" / "upper", RUN / "over" / "work"
    kept = {place: RUN / "over" / str(number) for number, place in enumerate(but) if folder in place.parents}
    for made in (upper, work, *kept.values()):
        made.mkdir(parents=True)
    for place, aside in kept.items():
        mount("--bind", str(place), str(aside))
    mount("-t", "overlay", "-o", f"lowerdir={folder},upperdir={upper},workdir={work}", "overlay", str(folder))
    for place, aside in kept.items():
        mount("--bind", str(aside), str(place))


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
    subprocess.run(["nft", "-f", "-"], input=NOWHERE.encode(), check=True, capture_output=True)
    for name, value in SETTINGS.items():
        Path("/proc/sys/net/ipv4", name).write_text(value, encoding="ascii")
