"""Prepares the node's namespaces: mounts, the image store, the network without a route out of it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pytest_istio_egress.embedded.cgroups import mount_own_cgroups
from pytest_istio_egress.embedded.ip_families import Network
from pytest_istio_egress.embedded.node_plan import RUN, NodePlan

# The node's address is that of a bridge without ports (some kernels have no dummy device). Packets to anything but a
# pod take the default route to it, and there is no other device.
#
#   pod -> node -> default route -> node0: rejected, and connected to nothing
#
# Without the reject a DNS lookup waits 5 s if kube-proxy has not yet programmed the Service of DNS. This ICMP code is
# one of those that also end the wait of a UDP socket.
LINKS = """
link set lo up
link add node0 type bridge
link set node0 up
"""
# A device without ports has no carrier, so that the kernel would never end to look whether somebody else has its IPv6
# address, and the address could not be used.
ADDRESS = """
address add {network.node}/{network.node_prefix} dev node0 {nodad}
route add {network.anywhere} dev node0
"""
# Every rejection is sent: with the default limit of about one per second, a resolver that is rejected several times
# in a row gets no reply the next time, and waits.
SETTINGS = {
    "IPv4": {"ipv4/ip_forward": "1", "ipv4/icmp_ratelimit": "0"},
    # The node's ends of the links to pods have the same address, which is no duplicate.
    "IPv6": {"ipv6/conf/all/forwarding": "1", "ipv6/icmp/ratelimit": "0", "ipv6/conf/default/accept_dad": "0"},
}
NOWHERE = """
table inet nowhere {
  chain forward {
    type filter hook forward priority filter
    oifname "node0" reject with icmpx admin-prohibited
  }
}
"""


def set_up_files(plan: NodePlan) -> None:
    """Mount a tmpfs wherever components write outside of their folders, and link the cached images."""
    for folder in (Path("/run"), Path("/var/log")):
        mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", str(folder))
    # Istio's CNI agent sees the network namespaces of pods that are mounted below /run later on.
    mount("--make-shared", "/run")
    for folder in (RUN, Path("/run/netns"), Path("/run/lock")):
        folder.mkdir(mode=0o755)
    keep_writes_to_memory(Path("/var/lib"), (plan.state, plan.images))
    mount_own_cgroups()
    link_images(plan.images / "store", RUN / "containerd")


def mount(*arguments: str) -> None:
    """Mount a file system in the mount namespace of the node."""
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


def keep_writes_to_memory(folder: Path, but: tuple[Path, ...]) -> None:
    """Redirect writes below `folder` to memory, except below the folders in `but`.

    The kubelet creates /var/lib/kubelet whatever its own folder is; so it is not created on the machine.
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

    containerd only adds files to these: layers are lower directories of overlays, and its two databases, which it
    changes, are copied.
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


def set_up_network(networks: Sequence[Network]) -> None:
    """Bring up the loopback and the node's addresses, and enable forwarding."""
    for network in networks:
        for name, value in SETTINGS[network.family].items():
            Path("/proc/sys/net", name).write_text(value, encoding="ascii")
    subprocess.run(["ip", "-batch", "-"], input=LINKS.encode(), check=True, capture_output=True)
    for network in networks:
        subprocess.run(["ip", "-batch", "-"], input=addresses_of(network).encode(), check=True, capture_output=True)
    subprocess.run(["nft", "-f", "-"], input=NOWHERE.encode(), check=True, capture_output=True)


def addresses_of(network: Network) -> str:
    """Return the lines for `ip -batch` that give the node its address and its default route of one family."""
    return ADDRESS.format(network=network, nodad="nodad" if network.family == "IPv6" else "")
