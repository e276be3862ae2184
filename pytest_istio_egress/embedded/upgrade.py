"""Upgrades a running cluster to another Istio or Envoy, in place or as a second revision."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_istio_egress.embedded.cache import Cache
from pytest_istio_egress.embedded.cluster import asked_of, cluster_of
from pytest_istio_egress.embedded.errors import EmbeddedError
from pytest_istio_egress.embedded.go_modules import last_line
from pytest_istio_egress.embedded.images import make_image_archive
from pytest_istio_egress.embedded.istio_manifest import istio_settings
from pytest_istio_egress.embedded.istio_release import Chosen, choose_istio
from pytest_istio_egress.embedded.manifest_changes import Changes, changes_between
from pytest_istio_egress.embedded.node_plan import CONTAINERD_SOCKET, NodePlan
from pytest_istio_egress.embedded.parts import notes_of, proxy_for, release_in, rendered_istio, root_folder
from pytest_istio_egress.embedded.progress import Progress, Silent
from pytest_istio_egress.embedded.proxies import Proxy
from pytest_istio_egress.embedded.spec import ClusterSpec, EmbeddedCluster
from pytest_istio_egress.embedded.state import Record, State
from pytest_istio_egress.embedded.versions import Image, versions
from pytest_istio_egress.embedded.workshop import Workshop

STEPS = 8  # Istio, Envoy, root file system, proxyv2, the definitions, the manifest, istiod, the gateway
REVISION = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
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
    return _changed(spec, Replacement.to, progress)


def add_revision(spec: ClusterSpec, revision: str, progress: Progress | None = None) -> EmbeddedCluster:
    """Install the Istio of `spec` as a second revision of the running cluster `spec.name`, as for a canary upgrade.

    The running control plane, the egress gateway and all pods stay as they are; istioctl becomes that of the new
    revision. Raises EmbeddedError for an invalid name, where no such cluster runs, or istiod does not become ready.
    """
    if not REVISION.fullmatch(revision) or revision == "default":
        raise EmbeddedError(f"invalid revision {revision!r}: use lower-case letters, digits and '-', such as 1-31")
    return _changed(spec, functools.partial(Replacement.beside, revision=revision), progress)


def _changed(
    spec: ClusterSpec, change: Callable[[Replacement, ClusterSpec], Record], progress: Progress | None
) -> EmbeddedCluster:
    display = progress or Silent()
    state = State(spec.name)
    with state.lock():
        record = state.record()
        if record is None or not record.alive or record.phase != "ready":
            raise EmbeddedError(f"cluster {spec.name} is not running", f"istio-egress cluster up --name {spec.name}")
        plan = NodePlan.read(state.folder)
        if plan.ambient:
            raise EmbeddedError(f"cluster {spec.name} is ambient, which cannot be upgraded: start another one")
        spec = dataclasses.replace(spec, istio=spec.istio or record.asked["Istio"], ip_family=plan.ip_family)
        display.expect(STEPS)
        record = change(Replacement(state, record, plan, display), spec)
        state.write(record)
        return cluster_of(record, state, started=False)


@dataclass(frozen=True)
class _Wanted:
    """The Istio and Envoy of an upgrade; `image` is the name of proxyv2 on the node."""

    shop: Workshop
    chosen: Chosen
    istio: Path
    release: str
    proxy: Proxy
    image: str

    def manifest(self, spec: ClusterSpec, more: tuple[str, ...] = ()) -> Path:
        """Return the file of Istio's objects with the settings of `spec`; `more` overrides the usual ones."""
        settings = istio_settings(
            spec.mesh_mode,
            self.release,
            spec.compatibility,
            self.image,
            self.proxy.settings,
            ip_family=spec.ip_family,
        )
        return rendered_istio(self.shop, self.istio, (*settings, *more), self.chosen.gateway_api)


@dataclass(frozen=True)
class Replacement:
    """One upgrade of one cluster."""

    state: State
    record: Record
    plan: NodePlan
    progress: Progress

    def to(self, spec: ClusterSpec) -> Record:
        """Import the images, apply the objects that differ, roll the Deployments; return the new record."""
        wanted = self._wanted(spec)
        manifest = wanted.manifest(spec)
        changes = self._changes_to(manifest)
        self._change("create", changes.new)
        self._change("replace", changes.other)
        for name in DEPLOYMENTS:
            self._step(name, "rolled out", functools.partial(self._roll, name, changes.deployments.get(name)))
        self._change("delete", changes.gone, "--ignore-not-found")
        components = {**self.plan.components, "istio": wanted.istio}
        dataclasses.replace(self.plan, istio_manifest=manifest, components=components).write()
        self._link_istioctl(wanted.istio)
        notes = notes_of(spec, wanted.chosen, wanted.proxy, {"istio": wanted.istio})
        return dataclasses.replace(
            self.record, asked=asked_of(spec), istio=wanted.release, envoy=wanted.proxy.version, notes=notes
        )

    def beside(self, spec: ClusterSpec, revision: str) -> Record:
        """Import the images and install the control plane as a revision; return the record with a note on it."""
        wanted = self._wanted(spec)
        without_gateway = ("components.egressGateways[0].enabled=false", f"revision={revision}")
        manifest = wanted.manifest(spec, without_gateway)
        changes = self._changes_to(manifest)
        definitions = [found for found in changes.other if found["kind"] == "CustomResourceDefinition"]
        self._change("replace", definitions)
        self._change("create", changes.new)
        self._step(f"istiod-{revision}", "rolled out", functools.partial(self._wait_for, f"istiod-{revision}"))
        self._link_istioctl(wanted.istio)
        note = f"revision {revision} is Istio {wanted.release} with Envoy {wanted.proxy.version}"
        return dataclasses.replace(self.record, notes=(*self.record.notes, note))

    def _changes_to(self, manifest: Path) -> Changes:
        """Return how the manifest of an Istio differs from that of the running one."""
        return changes_between(*(json.loads(file.read_bytes()) for file in (self.plan.istio_manifest, manifest)))

    def _wanted(self, spec: ClusterSpec) -> _Wanted:
        """Build what is missing of the Istio and Envoy of `spec`, and import their images."""
        shop = Workshop(Cache(), self.progress)
        chosen = choose_istio(spec.istio, shop)
        proxy = proxy_for(spec, chosen, shop)
        istio = shop.component(chosen.component, chosen.tag)
        release = release_in(istio)
        return _Wanted(shop, chosen, istio, release, proxy, self._bring_images(shop, istio, release, proxy))

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
        self._wait_for(deployment)

    def _wait_for(self, deployment: str) -> None:
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


def _image(name: str) -> Image:
    return next(image for image in versions().images if f"/{name}:" in image.name)


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
