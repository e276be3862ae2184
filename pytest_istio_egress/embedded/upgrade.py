"""Upgrades a running cluster to another Istio or Envoy: istiod first, then the gateway, then new pods."""

from __future__ import annotations

import dataclasses
import functools
import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_istio_egress.embedded.cache import Cache
from pytest_istio_egress.embedded.cluster import asked_of, cluster_of
from pytest_istio_egress.embedded.errors import EmbeddedError
from pytest_istio_egress.embedded.go_modules import last_line
from pytest_istio_egress.embedded.images import make_image_archive
from pytest_istio_egress.embedded.istio_manifest import istio_settings
from pytest_istio_egress.embedded.istio_release import choose_istio
from pytest_istio_egress.embedded.node_plan import CONTAINERD_SOCKET, NodePlan
from pytest_istio_egress.embedded.parts import notes_of, proxy_for, release_in, rendered_istio, root_folder
from pytest_istio_egress.embedded.progress import Progress, Silent
from pytest_istio_egress.embedded.proxies import Proxy
from pytest_istio_egress.embedded.spec import ClusterSpec, EmbeddedCluster
from pytest_istio_egress.embedded.state import Record, State
from pytest_istio_egress.embedded.versions import Image, versions
from pytest_istio_egress.embedded.workshop import Workshop

STEPS = 8  # Istio, Envoy, root file system, proxyv2, the definitions, the manifest, istiod, the gateway
PATIENCE = "120s"  # for one Deployment to roll out
DEPLOYMENTS = ("istiod", "istio-egressgateway")
"""In the order of Istio's documentation: the control plane first, then gateways, then workloads."""


def upgrade(spec: ClusterSpec, progress: Progress | None = None) -> EmbeddedCluster:
    """Change the running cluster `spec.name` to the versions of `spec`, and return it once they are rolled out.

        images of pilot and proxyv2 -> the node's containerd
        Istio's manifest, rendered again -> only objects that differ are replaced -> istiod, then the gateway roll

    Without a version in `spec`, Istio is not changed. Pods of users keep their proxy until they are restarted, as on
    any cluster. Raises EmbeddedError where no such cluster runs, or it does not become ready.
    """
    display = progress or Silent()
    state = State(spec.name)
    with state.lock():
        record = state.record()
        if record is None or not record.alive or record.phase != "ready":
            raise EmbeddedError(f"cluster {spec.name} is not running", f"istio-egress cluster up --name {spec.name}")
        plan = NodePlan.read(state.folder)
        spec = dataclasses.replace(spec, istio=spec.istio or record.asked["Istio"], ip_family=plan.ip_family)
        display.expect(STEPS)
        record = Replacement(state, record, plan, display).to(spec)
        state.write(record)
        return cluster_of(record, state, started=False)


@dataclass(frozen=True)
class Replacement:
    """One upgrade of one cluster."""

    state: State
    record: Record
    plan: NodePlan
    progress: Progress

    def to(self, spec: ClusterSpec) -> Record:
        """Import the images, apply the objects that differ, roll the Deployments; return the new record."""
        shop = Workshop(Cache(), self.progress)
        chosen = choose_istio(spec.istio, shop)
        proxy = proxy_for(spec, chosen, shop)
        istio = shop.component(chosen.component, chosen.tag)
        release = release_in(istio)
        image = self._bring_images(shop, istio, release, proxy)
        settings = istio_settings(
            spec.mesh_mode, release, spec.compatibility, image, proxy.settings, ip_family=spec.ip_family
        )
        manifest = rendered_istio(shop, istio, settings, chosen.gateway_api)
        changes = changes_between(*(json.loads(file.read_bytes()) for file in (self.plan.istio_manifest, manifest)))
        self._change("create", changes.new)
        self._change("replace", changes.other)
        for name in DEPLOYMENTS:
            self._step(name, "rolled out", functools.partial(self._roll, name, changes.deployments.get(name)))
        self._change("delete", changes.gone, "--ignore-not-found")
        components = {**self.plan.components, "istio": istio}
        dataclasses.replace(self.plan, istio_manifest=manifest, components=components).write()
        self._link_istioctl(istio)
        notes = notes_of(spec, chosen, proxy, {"istio": istio})
        return dataclasses.replace(self.record, asked=asked_of(spec), istio=release, envoy=proxy.version, notes=notes)

    def _bring_images(self, shop: Workshop, istio: Path, release: str, proxy: Proxy) -> str:
        """Import proxyv2 under a new name, and pilot if it differs, into the containerd of the node.

        Return the name of proxyv2.
        """
        pilot, usual = (proxy.image(_image(name), release) for name in ("pilot", "proxyv2"))
        proxyv2 = dataclasses.replace(usual, name=f"{usual.name}-envoy-{proxy.tag}")
        folders = {"istio": istio, "proxy": proxy.folder}
        root = root_folder(shop) / "root.tar"
        wanted = [proxyv2] if istio == self.plan.components["istio"] else [pilot, proxyv2]
        self.progress.expect(len(wanted) - 1)
        for image in wanted:
            self._step(image.name.rpartition("/")[2], "imported", functools.partial(self._bring, image, folders, root))
        return proxyv2.name

    def _bring(self, image: Image, folders: dict[str, Path], root: Path) -> None:
        files = {source: folders[source.split("/")[0]] / source.split("/")[1] for source in image.files.values()}
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / "image.tar"
            make_image_archive(image, files, root, archive)
            self._import(archive)

    def _link_istioctl(self, istio: Path) -> None:
        """Replace the istioctl of the cluster by that of its Istio."""
        beside = self.state.folder / "bin" / "istioctl.new"
        beside.symlink_to(istio / "istioctl")
        beside.replace(self.state.folder / "bin" / "istioctl")

    def _import(self, archive: Path) -> None:
        ctr = [self.plan.binary("containerd", "ctr"), "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io"]
        inside = ["nsenter", f"--mount=/proc/{containerd_of(self.plan)}/ns/mnt", "--"]
        with archive.open("rb") as content:
            # Through its standard input: the node need not see this file of the machine.
            run([*inside, *ctr, "images", "import", "--snapshotter", "overlayfs", "-"], stdin=content.fileno())

    def _change(self, verb: str, objects: list[dict[str, Any]], *options: str) -> None:
        if objects:
            document = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
            self._kubectl(verb, *options, "-f", "-", given=document)

    def _roll(self, deployment: str, other: dict[str, Any] | None) -> None:
        """Replace a Deployment that differs, or restart it; and wait until it has rolled out."""
        if other:
            self._change("replace", [other])
        else:  # istiod reads the mesh's settings from a volume, which the kubelet renews once a minute
            self._kubectl("-n", "istio-system", "rollout", "restart", f"deployment/{deployment}")
        self._kubectl("-n", "istio-system", "rollout", "status", f"deployment/{deployment}", f"--timeout={PATIENCE}")

    def _kubectl(self, *arguments: str, given: str = "") -> None:
        kubectl = self.plan.binary("kubernetes", "kubectl")
        with tempfile.TemporaryFile("w+", encoding="utf-8") as content:
            content.write(given)
            content.seek(0)
            run([kubectl, f"--kubeconfig={self.state.kubeconfig}", *arguments], stdin=content.fileno())

    def _step(self, step: str, how: str, do: Any) -> None:
        self.progress.started(step)
        do()
        self.progress.finished(step, how)


@dataclass(frozen=True)
class Changes:
    """The objects of a manifest that are new, changed and removed in comparison with an earlier one.

    Changed Deployments are separate, by name: they are rolled one after the other.
    """

    new: list[dict[str, Any]]
    other: list[dict[str, Any]]
    deployments: dict[str, dict[str, Any]]
    gone: list[dict[str, Any]]


def changes_between(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Changes:
    """Compare two manifests."""
    old, new = ({_key(found): found for found in objects} for objects in (before, after))
    other = [found for key, found in new.items() if key in old and found != old[key]]
    return Changes(
        new=[found for key, found in new.items() if key not in old],
        other=[found for found in other if found["kind"] != "Deployment"],
        deployments={found["metadata"]["name"]: found for found in other if found["kind"] == "Deployment"},
        gone=[found for key, found in old.items() if key not in new],
    )


def _image(name: str) -> Image:
    return next(image for image in versions().images if f"/{name}:" in image.name)


def _key(found: dict[str, Any]) -> tuple[str, str, str]:
    return found["kind"], found["metadata"].get("namespace", ""), found["metadata"]["name"]


def containerd_of(plan: NodePlan) -> int:
    """Return the process id of the node's containerd. Raises EmbeddedError when there is none."""
    for text in (folder / "cgroup.procs" for folder in plan.cgroups):
        for process in text.read_text(encoding="ascii").split() if text.is_file() else ():
            try:
                if Path(f"/proc/{process}/exe").samefile(plan.binary("containerd")):
                    return int(process)
            except OSError:  # it ended in the meantime
                continue
    raise EmbeddedError(
        f"containerd of cluster {plan.name} is not running", f"istio-egress cluster down --name {plan.name}"
    )


def run(command: list[str], *, stdin: int) -> None:
    """Run a command to its end. Raises EmbeddedError with its last line when it fails."""
    done = subprocess.run(command, stdin=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EmbeddedError(f"{Path(command[0]).name} {' '.join(command[1:])[:80]} failed: {last_line(done.stderr)}")
