"""The command that runs another one in new namespaces, which end with it."""

from __future__ import annotations

from pathlib import Path

NAMESPACES = ("--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")

# In a chroot, / is a plain directory of some mount outside: its propagation cannot be changed (so mounts made
# inside would show outside), containers cannot pivot away from it, and what is executed in a container later would
# see the file system outside, which is still the root of the namespace. /proc is a mount and can be made private; the
# tree, bound onto a directory in it, is a mount of its own. Entering the mount namespace that one is in already leads
# out of the chroot, with the working directory kept: from there the tree becomes the namespace's root.
FROM_A_CHROOT = """
mount --make-private /proc && mount --rbind / /proc/tty && mount --make-rprivate /proc/tty &&
exec nsenter --mount=/proc/self/ns/mnt --wd=/proc/tty -- sh -c '
  PATH=$PATH:/usr/sbin:/sbin
  mount --make-rprivate / && pivot_root . . && umount --lazy . && cd / && exec "$@"
' pivot "$@"
"""


def isolated(*command: str, also: tuple[str, ...] = ()) -> list[str]:
    """Return `command` as it runs in new network, mount and PID namespaces; `also` names more, such as "--cgroup".

    It is killed when the process that started it ends; all processes of its namespaces are killed when it ends.
    """
    isolate = ["unshare", *also, *NAMESPACES, "--", *command]
    if root_is_a_mount(Path("/proc/self/mountinfo").read_text(encoding="utf-8")):
        return ["setpriv", "--pdeathsig", "KILL", *isolate]
    enter = ["unshare", "--mount", "--propagation", "unchanged", "sh", "-c", FROM_A_CHROOT, "chroot"]
    return ["setpriv", "--pdeathsig", "KILL", *enter, *isolate]


def root_is_a_mount(mountinfo: str) -> bool:
    """Return whether / is a mount, by the text of /proc/self/mountinfo; in a chroot it is none."""
    return any(line.split()[4] == "/" for line in mountinfo.splitlines() if line)
