"""Which cluster is asked: turns the settings into one Target, made once per run and the same in every worker."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest import StashKey

from pytest_istio_egress.kubeconfig import NoContextError, chosen_context
from pytest_istio_egress.options import CONTEXT, EMBEDDED, Settings
from pytest_istio_egress.placement import Placement, pairs
from pytest_istio_egress.timeouts import Timeouts

if TYPE_CHECKING:
    from pytest_istio_egress.cluster.api import Api
    from pytest_istio_egress.cluster.mesh import Mesh
    from pytest_istio_egress.cluster.rights import Role
    from pytest_istio_egress.embedded import EmbeddedCluster, EmbeddedError

USE_EMBEDDED = "to run without a cluster of your own, add --istio-egress-target embedded"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Target:
    """The cluster of one run.

    `kubeconfig` None: the files named by $KUBECONFIG. `context` is always a name, so that a changed current context
    cannot move a run to another cluster. `run` is six letters and digits, a letter first: it stands in names.
    `mesh` holds the facts that were found out before the first case (mesh_facts.py), `placement` what the run's pods
    differ in from the plain manifests (placement.py), `require` the features whose lack is a failure.
    """

    kind: str
    kubeconfig: Path | None
    context: str | None
    run: str
    notes: tuple[str, ...]
    timeout_scale: float
    allow_mesh_wide: bool
    mesh: Mapping[str, Any] = field(default_factory=dict)
    placement: Mapping[str, Any] = field(default_factory=dict)
    require: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Write it for an xdist worker."""
        return json.dumps(asdict(self) | {"kubeconfig": self.kubeconfig and str(self.kubeconfig)})

    @classmethod
    def from_json(cls, text: str) -> Target:
        """Read what `to_json` wrote."""
        fields = json.loads(text)
        kubeconfig = fields["kubeconfig"] and Path(fields["kubeconfig"])
        return cls(
            **(
                fields
                | {"kubeconfig": kubeconfig, "notes": tuple(fields["notes"]), "require": tuple(fields["require"])}
            )
        )


TARGET = StashKey[Target]()
"""Where the fixtures find it, in `config.stash`; it is there from the first case on, not before."""


class TargetError(Exception):
    """There is a cluster to ask, but it can't be asked. The message is one line."""


class NoClusterError(TargetError):
    """Nothing says which cluster to ask."""


@dataclass(frozen=True)
class Prepared:
    """A target that answered, its Kubernetes version, and the embedded cluster to end with the run, if any.

    `gateway` says, for people, which egress gateway the mesh has; `features` why one is missing, None where it's there.
    """

    target: Target
    kubernetes: str
    ends: str | None = None
    gateway: str = ""
    features: Mapping[str, str | None] = field(default_factory=dict)


def new_run() -> str:
    """Return a run id that is a valid part of a Kubernetes name."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    return secrets.choice(letters) + "".join(secrets.choice(letters + "234567") for _ in range(5))


def prepare(settings: Settings, run: str, say: Say) -> Prepared:
    """Choose the cluster, start it where it is the embedded one, and make sure that it answers.

    Raises NoClusterError before anything is contacted, TargetError before anything is made.
    """
    if settings.target == EMBEDDED:
        return _embedded(settings, run, say)
    try:
        kubeconfig, context = chosen_context(settings.kubeconfig, settings.context)
    except NoContextError as error:
        raise NoClusterError(f"{error}; {USE_EMBEDDED}") from error
    target = Target(
        kind=CONTEXT,
        kubeconfig=kubeconfig,
        context=context,
        run=run,
        notes=(),
        timeout_scale=settings.timeout_scale,
        allow_mesh_wide=settings.allow_mesh_wide,
        placement=placement_of(settings).to_mapping(),
        require=settings.require,
    )
    return Prepared(target, kubernetes_version(target))


def placement_of(settings: Settings) -> Placement:
    """Return what the settings say of the run's pods."""
    return Placement.said(
        image=settings.image,
        pull_secret=settings.pull_secret,
        node_selector=settings.node_selector,
        toleration=settings.toleration,
    )


def look_at_mesh(prepared: Prepared, settings: Settings, say: Say) -> Prepared:
    """Find out what holds for the run; raises TargetError when there is no Istio that works.

    What killed runs left is removed on the way: it would only make the mesh slower to ask.
    """
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    from pytest_istio_egress.cluster.api import Api, ClusterError, reason
    from pytest_istio_egress.cluster.facts.table import Given
    from pytest_istio_egress.cluster.lifetime import remove_ended
    from pytest_istio_egress.cluster.mesh import Mesh
    from pytest_istio_egress.cluster.rights import RUN
    from pytest_istio_egress.requirements import features

    try:
        api = Api(prepared.target.kubeconfig, prepared.target.context, _timeouts(prepared.target))
        check_rights(api, prepared.target, (RUN,), say)
        given = Given(settings.revision, settings.gateway, pairs(settings.fact), settings.places)
        mesh = Mesh(api, given=given)
        _check_rights_there(mesh, prepared.target, say)
        mesh.check()
        mesh = as_it_is(mesh, say)
        gateway = mesh.gateway
        through = f"egress gateway {gateway}" if gateway else "no egress gateway"
        target = replace(prepared.target, mesh=mesh.facts.to_mapping())
        found = features(mesh)
        remove_ended(api, say)
    except ApiException as error:
        raise TargetError(f"the mesh can't be looked at: {reason(error)}") from error
    except (ClusterError, HTTPError) as error:
        raise TargetError(_one_line(error)) from error
    return replace(prepared, target=target, gateway=through, features=found)


def as_it_is(mesh: Mesh, say: Say) -> Mesh:
    """Return the mesh as it is when no run has it changed: a killed run's change is put back, another's waited for."""
    from pytest_istio_egress.cluster.lifetime import put_mesh_back
    from pytest_istio_egress.cluster.mesh_settings import MeshSettings

    settings = MeshSettings(mesh.api, mesh.facts.control_plane, mesh.facts.mesh_config)
    if settings.left_changed() is None:
        return mesh
    put_mesh_back(mesh.api, settings, say)
    if settings.left_changed() is not None:
        say("istio-egress: another run has changed the mesh's configuration for a case; waiting until it is put back")
        settings.unchanged()
    return type(mesh)(mesh.api, given=mesh.given)  # what was found out before was the change's


def _check_rights_there(mesh: Mesh, target: Target, say: Say) -> None:
    """Check the rights in the control plane's namespace, which is a fact of the mesh that may take them to find out."""
    from pytest_istio_egress.cluster.api import ClusterError
    from pytest_istio_egress.cluster.rights import look_at_istio, mesh_wide

    try:
        where = mesh.facts.control_plane, mesh.facts.mesh_config
    except ClusterError:
        check_rights(mesh.api, target, (look_at_istio(),), say)
        raise
    also = [mesh_wide(*where)] if target.allow_mesh_wide else []
    check_rights(mesh.api, target, (look_at_istio(*where), *also), say)


def check_rights(api: Api, target: Target, roles: Iterable[Role], say: Say) -> None:
    """Say each right that is missing; raises TargetError if one is, before anything is made."""
    from pytest_istio_egress.cluster.rights import lacking

    missing = lacking(api, roles)
    for action in missing:
        say(f"istio-egress: missing right: {action}")
    if missing:
        lacked = sorted({f"{action.role.kind} {action.role.name}" for action in missing})
        raise TargetError(
            f"{len(missing)} rights are missing in the cluster of context {target.context!r}, nothing was made; the "
            f"{' and the '.join(lacked)} that `istio-egress rights` prints (docs/rights.yaml) grant them"
        )


def release(prepared: Prepared, say: Say) -> None:
    """Remove what the run made; an embedded cluster that ends with the run takes all of it along."""
    if prepared.ends is not None:
        from pytest_istio_egress.embedded import EmbeddedError, down

        try:
            down(prepared.ends)
        except EmbeddedError as error:
            raise TargetError(_embedded_line(error, say)) from error
        return
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    from pytest_istio_egress.cluster.api import Api, ClusterError
    from pytest_istio_egress.cluster.lifetime import remove

    target = prepared.target
    try:
        remove(Api(target.kubeconfig, target.context, _timeouts(target)), target.run, say=say)
    except (ClusterError, ApiException, HTTPError) as error:
        raise TargetError(f"what run {target.run} made may still be in the cluster: {_one_line(error)}") from error


def kubernetes_version(target: Target) -> str:
    """Ask for /version; raises TargetError when nothing answers in time."""
    # Imported before the clock starts: on a busy machine that alone takes seconds.
    from pytest_istio_egress.cluster import api as _  # noqa: F401  # the thread imports it from where it is then

    within = _answers_within(target)
    answers: list[str] = []
    errors: list[Exception] = []

    def ask() -> None:
        try:
            answers.append(_asked_version(target))
        except Exception as error:  # noqa: BLE001  # whatever it is, it is carried over to the waiting thread
            errors.append(error)

    # The client loads its thousand models when it is first used: on a busy machine seconds that are not the cluster's.
    from kubernetes import client

    client.CoreV1Api(client.ApiClient(client.Configuration()))

    # A thread, because a credential helper or a name look-up knows no timeout; a daemon, so that none outlives the run.
    asking = threading.Thread(target=ask, name="asking the cluster for its version", daemon=True)
    asking.start()
    asking.join(within)
    if answers:
        return answers[0]
    why = _one_line(errors[0]) if errors else f"no answer within {within:g} s"
    where = f"--context {target.context}" + (f" --kubeconfig {target.kubeconfig}" if target.kubeconfig else "")
    raise TargetError(
        f"the cluster of context {target.context!r} can't be asked: {why}; try `kubectl {where} version`"
    ) from (errors[0] if errors else None)


def _timeouts(target: Target) -> Timeouts:
    return Timeouts().scaled(target.timeout_scale)


def _answers_within(target: Target) -> float:
    return max(Timeouts().answer, _timeouts(target).answer)  # a factor below 1 is about the mesh, not about this


def _asked_version(target: Target) -> str:
    from kubernetes import client

    from pytest_istio_egress.cluster.api import Api

    configuration = Api(target.kubeconfig, target.context).configuration
    # One try (a plain client makes no more): a cluster that needs several is not one to start a run on.
    with client.ApiClient(configuration) as once:
        return str(client.VersionApi(once).get_code(_request_timeout=_scaled(target, 5, 8)).git_version)


def _scaled(target: Target, *seconds: float) -> tuple[float, ...]:
    return tuple(max(1.0, target.timeout_scale) * each for each in seconds)


def _one_line(error: Exception) -> str:
    status, reason = getattr(error, "status", None), getattr(error, "reason", None)
    text = f"HTTP {status} {reason}" if status else str(error)
    return " ".join(text.split()) or type(error).__name__


def _embedded(settings: Settings, run: str, say: Say) -> Prepared:
    from pytest_istio_egress.embedded import ClusterSpec, EmbeddedError, up
    from pytest_istio_egress.embedded.progress import Lines

    asked = {"name": settings.name, "istio": settings.istio, "envoy": settings.envoy}
    try:
        with Lines(say) as progress:
            cluster = up(
                ClusterSpec(**{key: value for key, value in asked.items() if value is not None}),
                progress=progress,
                install_packages=settings.install_packages,
                tied_to_caller=not settings.keep_cluster,
            )
    except EmbeddedError as error:
        raise TargetError(_embedded_line(error, say)) from error
    return _prepared(cluster, settings, run)


def _prepared(cluster: EmbeddedCluster, settings: Settings, run: str) -> Prepared:
    import yaml

    current = yaml.safe_load(cluster.kubeconfig.read_text(encoding="utf-8")).get("current-context")
    target = Target(
        kind=EMBEDDED,
        kubeconfig=cluster.kubeconfig,
        context=current,
        run=run,
        notes=cluster.notes,
        timeout_scale=settings.timeout_scale,
        allow_mesh_wide=True,
        placement=placement_of(settings).to_mapping(),
        require=settings.require,
    )
    ends = cluster.name if cluster.started and not settings.keep_cluster else None
    return Prepared(target, cluster.kubernetes, ends)


def _embedded_line(error: EmbeddedError, say: Say) -> str:
    """Return the error's one sentence and its remedy; say the log lines that follow it, if any."""
    sentence, *log = str(error).splitlines()
    for line in log:
        say(line)
    return f"{sentence}; try `{error.remedy}`" if error.remedy else sentence
