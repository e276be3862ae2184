"""Replaces the data plane of a cluster that runs: as on any cluster, istiod first, then the gateway, then new pods."""

from __future__ import annotations

import dataclasses
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
from pytest_istio_egress.embedded.node_plan import CONTAINERD_SOCKET, NodePlan
from pytest_istio_egress.embedded.parts import Workshop, envoy_folder, rendered_istio, root_folder
from pytest_istio_egress.embedded.progress import Progress, Silent
from pytest_istio_egress.embedded.spec import ClusterSpec, EmbeddedCluster
from pytest_istio_egress.embedded.state import Record, State
from pytest_istio_egress.embedded.versions import versions

STEPS = 7  # Envoy, root file system, the definitions, the manifest, the image, istiod, the gateway
PATIENCE = "120s"  # for one Deployment to roll out
DEPLOYMENTS = ("istiod", "istio-egressgateway")
"""In the order in which Istio's documents upgrade them: the control plane first, then gateways, then workloads."""


def upgrade(spec: ClusterSpec, progress: Progress | None = None) -> EmbeddedCluster:
    """Bring the running cluster `spec.name` to what `spec` asks for, and return it once all of it is rolled out.

        proxyv2 image with that Envoy -> the node's containerd
        Istio's manifest, rendered anew -> only objects that differ are replaced -> istiod, then the gateway roll

    Pods of users keep the proxy they have until they are made anew, as on any cluster. Istio's own version stays.
    Raises EmbeddedError where no such cluster runs, or it does not get ready with the new one.
    """
    told = progress or Silent()
    state = State(spec.name)
    with state.lock():
        record = state.record()
        if record is None or not record.alive or record.phase != "ready":
            raise EmbeddedError(f"cluster {spec.name} does not run", f"istio-egress cluster up --name {spec.name}")
        wanted = asked_of(spec)
        if record.asked["Istio"] != wanted["Istio"]:
            raise EmbeddedError(f"cluster {spec.name} runs with Istio {record.asked['Istio']}, and that stays")
        told.expect(STEPS)
        envoy = spec.envoy or versions().envoy_version
        Replacement(state, record, NodePlan.read(state.folder), told).to(spec, envoy)
        record = dataclasses.replace(record, asked=wanted, envoy=envoy)
        state.write(record)
        return cluster_of(record, state, started=False)


@dataclass(frozen=True)
class Replacement:
    """One upgrade of one cluster."""

    state: State
    record: Record
    plan: NodePlan
    progress: Progress

    def to(self, spec: ClusterSpec, envoy: str) -> None:
        """Bring the image in, then the objects that differ, then roll what runs."""
        shop = Workshop(Cache(), self.progress)
        istio = self.plan.components["istio"]
        image = self._bring_image(shop, istio, envoy)
        settings = istio_settings(spec.mesh_mode, self.record.istio, spec.compatibility, image)
        manifest = rendered_istio(shop, istio, settings)
        replaced = self._replace(manifest)
        for deployment in DEPLOYMENTS:
            self._step(deployment, "rolled out", lambda name=deployment: self._roll(name, rolls=name in replaced))
        dataclasses.replace(self.plan, istio_manifest=manifest).write()

    def _bring_image(self, shop: Workshop, istio: Path, envoy: str) -> str:
        """Put proxyv2 with that Envoy into the node's containerd; return its name."""
        folders = {"istio": istio, "envoy": envoy_folder(shop, envoy)}
        usual = next(image for image in versions().images if "/proxyv2:" in image.name).tagged(self.record.istio)
        image = dataclasses.replace(usual, name=f"{usual.name}-envoy-{envoy}")
        files = {source: folders[source.split("/")[0]] / source.split("/")[1] for source in image.files.values()}
        root = root_folder(shop) / "root.tar"

        def bring() -> None:
            with tempfile.TemporaryDirectory() as folder:
                archive = Path(folder) / "proxyv2.tar"
                make_image_archive(image, files, root, archive)
                self._import(archive)

        self._step(f"proxyv2 with Envoy {envoy}", "imported", bring)
        return image.name

    def _import(self, archive: Path) -> None:
        ctr = [self.plan.binary("containerd", "ctr"), "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io"]
        inside = ["nsenter", f"--mount=/proc/{containerd_of(self.plan)}/ns/mnt", "--"]
        with archive.open("rb") as content:
            # By its input: whatever the node sees of this machine's files, it need not see this one.
            run([*inside, *ctr, "images", "import", "--snapshotter", "overlayfs", "-"], stdin=content.fileno())

    def _replace(self, manifest: Path) -> set[str]:
        """Replace the objects that differ from those the cluster has; return the Deployments among them."""
        before, after = (json.loads(file.read_bytes()) for file in (self.plan.istio_manifest, manifest))
        differing = changed_objects(before, after)
        if differing:
            document = json.dumps({"apiVersion": "v1", "kind": "List", "items": differing})
            self._kubectl("replace", "-f", "-", given=document)
        return {found["metadata"]["name"] for found in differing if found["kind"] == "Deployment"}

    def _roll(self, deployment: str, *, rolls: bool) -> None:
        """Wait until a Deployment runs as it is; one that was not replaced, and so does not roll, is made to."""
        if not rolls:  # istiod reads the mesh's settings from a volume, which the kubelet renews once a minute
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


def changed_objects(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return those of `after` that `before` has otherwise, Deployments last.

    Raises EmbeddedError where an object is new or gone: settings alone bring that about for no setting that is here.
    """
    old, new = ({_key(found): found for found in objects} for objects in (before, after))
    if other := sorted(old.keys() ^ new.keys()):
        raise EmbeddedError(f"{' '.join(filter(None, other[0]))} is not in both manifests: start a new cluster instead")
    differing = [found for key, found in new.items() if found != old[key]]
    return sorted(differing, key=lambda found: found["kind"] == "Deployment")


def _key(found: dict[str, Any]) -> tuple[str, str, str]:
    return found["kind"], found["metadata"].get("namespace", ""), found["metadata"]["name"]


def containerd_of(plan: NodePlan) -> int:
    """Return the process id of the node's containerd. Raises EmbeddedError when there is none."""
    for text in (folder / "cgroup.procs" for folder in plan.cgroups):
        for process in text.read_text(encoding="ascii").split() if text.is_file() else ():
            try:
                if Path(f"/proc/{process}/exe").samefile(plan.binary("containerd")):
                    return int(process)
            except OSError:  # it ended while we looked
                continue
    raise EmbeddedError(
        f"cluster {plan.name} has no containerd any more", f"istio-egress cluster down --name {plan.name}"
    )


def run(command: list[str], *, stdin: int) -> None:
    """Run a command to its end. Raises EmbeddedError with its last words when it fails."""
    done = subprocess.run(command, stdin=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EmbeddedError(f"{Path(command[0]).name} {' '.join(command[1:])[:80]} failed: {last_line(done.stderr)}")
