"""Finds out by dry runs what the cluster refuses of the objects that a run applies, before anything is tested.

    namespaces              dry run of each, as the run will create it
    one namespace           created for the dry runs below; injection and the policies of the cluster apply to it
      pods                  as the Deployments will create them: injected, judged by Pod Security, quota, SCC, policies
      one object per kind   of fixtures, tests, and of what the run itself adds
      exec                  of a pod that does not exist: 404 where the connection works

A dry run passes all webhooks and policies, and stores nothing. It also shows what injection makes of a pod: whether
it happens at all, and the image of the proxy.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.additions import WITH_ENVOY_FILTERS, WITHOUT_ENVOY_FILTERS
from pytest_istio_egress.cluster.address_names import Addresses
from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.apply import FIELD_MANAGER, Applier
from pytest_istio_egress.cluster.credentials import SERVED, kubernetes_secret
from pytest_istio_egress.cluster.exec_check import why_no_exec
from pytest_istio_egress.cluster.facts.revisions import ENABLED, REVISION
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.pods import PROXY
from pytest_istio_egress.cluster.poll import poll
from pytest_istio_egress.cluster.prepared_namespaces import worker_names
from pytest_istio_egress.cluster.refusals import is_of_the_cluster, may_pass
from pytest_istio_egress.cluster.run_lease import delete, renew_lease
from pytest_istio_egress.model.placement import INJECTED_IMAGE, POD_SECURITY, Placement

WORKER = "check"
"""The part of a run's names that belongs to this check, as `gw0` does to a worker."""
NAMESPACE = "egress-client"
"""The reserved namespace that all objects are tried in."""
_LEASE_SECONDS = 60
_AGAIN = 5.0
"""Seconds in which a refusal may pass: a new namespace without its service account, a webhook that restarts."""
_NOT_BY_KIND = frozenset({"Namespace", "Deployment", "Role", "RoleBinding"})
"""Kinds of which one object does not stand for all: a Role is refused for the permissions that it grants."""

_RESERVED = re.compile(r"192\.0\.2\.\d+")
_AT_ONCE = 16
"""Dry runs side by side: where a webhook does not respond, each takes as long as its timeout."""

Document = dict[str, Any]

_MARKERS = [additions.markers.of_clients(0).resource for additions in (WITH_ENVOY_FILTERS, WITHOUT_ENVOY_FILTERS)]
"""The markers for clients: a run needs one of their kinds."""


@dataclass(frozen=True)
class Admission:
    """What the cluster admits of a run's objects."""

    placement: Placement
    """With the Pod Security labels and the proxy image that the cluster demands."""
    needed: dict[str, str]
    """The message of the refusal by `object_name`, of what every test needs."""
    other: dict[str, str]
    """The same of what only some tests need."""


class AdmissionCheck:
    """Tries the run's objects in one namespace of its own.

    `environment` are the documents of the fixtures that every test needs, `others` those of other fixtures and of
    tests.
    """

    def __init__(self, api: Api, names: Names, environment: Sequence[Document], others: Sequence[Document]) -> None:
        self.api = api
        self.environment = environment
        self.others = others
        self.names = self._names_of_check(names)
        self.names.addresses.update(dict.fromkeys(_addresses([*environment, *others]), self._a_pods_address()))
        self.namespace = self.names.namespace(NAMESPACE)

    def _names_of_check(self, names: Names) -> Names:
        return Names(names.run, WORKER, mesh=names.mesh, placement=replace(names.placement, pod_security=False))

    def run(self) -> Admission:
        """Return what is refused; raises ClusterError where nothing can be tried."""
        namespaces = self._namespaces()
        for namespace in namespaces:
            if why := self._refusal(self._rendered(namespace, own_namespace=False)):
                return Admission(self.names.placement, {"Namespace": why}, {})
        try:
            client_namespace = next(each for each in namespaces if each["metadata"]["name"] == NAMESPACE)
            self._applier.apply([client_namespace], "")
            renew_lease(self.api, self.names.run, self.namespace, self.names.placement, seconds=_LEASE_SECONDS)
            return self._in_namespace(PodTrial(self.api, self._applier, self.namespace, namespaces))
        finally:
            delete(self.api, [self.namespace])

    def _namespaces(self) -> list[Document]:
        return [each for each in (*self.environment, *self.others) if each["kind"] == "Namespace"]

    @property
    def _applier(self) -> Applier:
        return Applier(self.api, self.names)

    def _in_namespace(self, pods: PodTrial) -> Admission:
        needed = [*self.environment, kubernetes_secret(SERVED[0], {})]
        of_some_tests = [*self.others, *_MARKERS]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            exec_problem = pool.submit(why_no_exec, self.api, self.namespace)
            trial = pool.submit(pods.refusals, self.environment, self.others)
            refused_needed, refused_others = (self._refused(pool, part) for part in (needed, of_some_tests))
            for refused, of_pods in zip((refused_needed, refused_others), trial.result(), strict=True):
                refused.update(of_pods)
            if problem := exec_problem.result():
                refused_needed["exec"] = problem
        if all(marker["kind"] in refused_others for marker in _MARKERS):
            refused_needed |= {marker["kind"]: refused_others[marker["kind"]] for marker in _MARKERS}
        placement = pods.placement(self.names.placement)
        injected = next((each for each in self.others if INJECTED_IMAGE in _images(each)), None)
        if injected and object_name(injected) in refused_others and (image := self._if_accepted(pods, injected)):
            del refused_others[object_name(injected)]
            placement = replace(placement, proxy_image=image)
        others = {name: why for name, why in refused_others.items() if name not in refused_needed}
        return Admission(placement, refused_needed, others)

    def _refused(self, pool: Executor, documents: Sequence[Document]) -> dict[str, str]:
        """Return why objects are refused; all Deployments are tried, of any other kind the smallest object."""
        deployments = [each for each in documents if each["kind"] == "Deployment"]
        samples = [each for each in smallest_of_each_kind(documents) if each["kind"] not in _NOT_BY_KIND]
        rendered = [self._rendered(each) for each in [*samples, *deployments]]
        refusals = zip(rendered, pool.map(self._refusal, rendered), strict=True)
        return {object_name(sent): why for sent, why in refusals if why}

    def _if_accepted(self, pods: PodTrial, gateway: Document) -> str:
        """Return the proxy's image where a gateway is accepted with it in place of `auto`, else an empty text."""
        image = pods.proxy_image or INJECTED_IMAGE
        self.names = replace(self.names, placement=replace(self.names.placement, proxy_image=image))
        pods.applier = self._applier
        return "" if self._refusal(self._rendered(gateway)) or pods.refusal(gateway) else image

    def _rendered(self, document: Document, *, own_namespace: bool = True) -> Document:
        sample = copy.deepcopy(document)
        if own_namespace:
            sample["metadata"]["namespace"] = NAMESPACE
        return self._applier.rendered(sample, NAMESPACE)

    def _refusal(self, sent: Document) -> str:
        """Return why a rule of the cluster refuses an object, empty where none does."""
        try:
            kind = self.api.resource(sent["apiVersion"], sent["kind"])
        except ClusterError as error:
            # Any other kind that is not served is a missing feature.
            return str(error) if sent["kind"] in {marker["kind"] for marker in _MARKERS} else ""
        metadata = sent["metadata"]
        return refusal_of(
            lambda: kind.server_side_apply(
                body=sent,
                name=metadata["name"],
                namespace=metadata.get("namespace"),
                field_manager=FIELD_MANAGER,
                force_conflicts=True,
                dry_run="All",
            )
        )

    def _a_pods_address(self) -> str:
        """Return the address of some pod, as Endpoints in tests have it; a documentation address without any."""
        pods = self.api.core.list_namespaced_pod(self.names.mesh.control_plane, limit=20).items
        return next((pod.status.pod_ip for pod in pods if pod.status.pod_ip), "198.51.100.1")


class PreparedAdmissionCheck(AdmissionCheck):
    """Tries the run's objects in the prepared namespaces of the first worker, which have all their labels."""

    def _names_of_check(self, names: Names) -> Names:
        return replace(names, worker=worker_names(1)[0], addresses=Addresses())

    def run(self) -> Admission:
        """Return what is refused; raises ClusterError where nothing can be tried."""
        return self._in_namespace(PreparedPodTrial(self.api, self._applier, self.namespace, self._namespaces()))


class PodTrial:
    """Tries the pods of Deployments, with the Pod Security label of their namespace only where they need it.

    All are tried in one namespace. Once it has the label that one pod needs, it does not show what the next one needs:
    where one needs a label, all namespaces get theirs.
    """

    def __init__(self, api: Api, applier: Applier, namespace: str, namespaces: Sequence[Document]) -> None:
        self.api = api
        self.applier = applier
        self.namespace = namespace
        self.labels = {each["metadata"]["name"]: each["metadata"].get("labels") or {} for each in namespaces}
        self.needs_labels = False
        """Whether a pod was refused without the Pod Security labels of its namespace's manifest."""
        self.proxy_image = ""
        """The image that injection puts in, empty before an injected pod was tried."""

    def refusals(self, *parts: Iterable[Document]) -> list[dict[str, str]]:
        """Return for each part the refused Deployments; after a part with one, the later parts are not tried."""
        refused: list[dict[str, str]] = []
        for part in parts:
            tried = [] if any(refused) else [each for each in part if each["kind"] == "Deployment"]
            refused.append({object_name(each): why for each in tried if (why := self.refusal(each))})
        return refused

    def refusal(self, deployment: Document) -> str:
        """Return why the pods of a Deployment are refused, empty where they are not."""
        reserved = deployment["metadata"].get("namespace", NAMESPACE)
        injected = (self.labels.get(reserved) or {}).get("istio-injection") == "enabled"
        sent = self._pod(deployment, self._place(reserved), injected=injected)
        why = self._try(sent)
        return self._in_restricted(reserved, sent, why)

    def placement(self, demanded: Placement) -> Placement:
        """Return the placement with the Pod Security labels that the tried pods need."""
        return replace(demanded, pod_security=self.needs_labels)

    def _place(self, reserved: str) -> str:  # noqa: ARG002  # one stands for all
        return self.namespace

    def _in_restricted(self, reserved: str, sent: Document, why: str) -> str:
        levels = {label: value for label, value in self.labels[reserved].items() if label.startswith(POD_SECURITY)}
        if "violates PodSecurity" in why and levels:
            self.needs_labels = True
            if denied := self._restrict(levels):
                return f"{why} (and the namespace's label {next(iter(levels))} was refused: {denied})"
            poll(lambda: "violates PodSecurity" not in self._try(sent), every=0.2, timeout=_AGAIN)
            why = self._try(sent)
        return why

    def _restrict(self, levels: dict[str, str]) -> str:
        return refusal_of(lambda: self.api.core.patch_namespace(self.namespace, {"metadata": {"labels": levels}}))

    def _pod(self, deployment: Document, namespace: str, *, injected: bool) -> Document:
        rendered = self.applier.rendered(copy.deepcopy(deployment), NAMESPACE)
        template = rendered["spec"]["template"]
        template["spec"].pop("serviceAccountName", None)  # it does not exist in this namespace
        if not injected:
            template["metadata"]["labels"]["sidecar.istio.io/inject"] = "false"
        metadata = {**template["metadata"], "name": rendered["metadata"]["name"], "namespace": namespace}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}

    def _try(self, sent: Document) -> str:
        created: list[client.V1Pod] = []
        core, namespace = self.api.core, sent["metadata"]["namespace"]
        why = refusal_of(lambda: created.append(core.create_namespaced_pod(namespace, sent, dry_run="All")))
        if created and sent["metadata"]["labels"].get("sidecar.istio.io/inject") != "false":
            spec = created[0].spec
            images = [each.image for each in [*(spec.init_containers or []), *spec.containers] if each.name == PROXY]
            if not images or images[0] == INJECTED_IMAGE:
                return f"the pod was created without a sidecar: {self._why_not_injected(namespace)}"
            self.proxy_image = images[0]
        return why

    def _why_not_injected(self, namespace: str) -> str:
        """Return what of a namespace's labels keeps injection away, else that the webhook does."""
        wanted = dict([self.applier.names.mesh.injection])
        labels = self.api.core.read_namespace(namespace).metadata.labels or {}
        found = {key: labels[key] for key in sorted({ENABLED[0], REVISION, *wanted} & labels.keys())}
        if found == wanted:
            return "the injection webhook was not called, or ignored it"
        return (
            f"the namespace {namespace} has {_written(found) or 'no injection label'} in place of {_written(wanted)}. "
            "hint: A policy or webhook of this cluster changes the labels of namespaces: exempt those with the label "
            "istio-egress.dev/run from it."
        )


class PreparedPodTrial(PodTrial):
    """Tries each pod in the prepared namespace that it will be in."""

    def placement(self, demanded: Placement) -> Placement:
        """Return the placement as it is: the labels are an administrator's."""
        return demanded

    def _place(self, reserved: str) -> str:
        return self.applier.names.namespace(reserved)

    def _in_restricted(self, reserved: str, sent: Document, why: str) -> str:  # noqa: ARG002  # no label is changed
        return why


def _written(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in labels.items())


def object_name(document: Document) -> str:
    """Return what a refusal is about: a Deployment by its name, since its pods are its own; of others the kind."""
    kind = str(document["kind"])
    return f"Deployment {document['metadata']['name']}" if kind == "Deployment" else kind


def refusal_of(request: Callable[[], object]) -> str:
    """Return why a rule of the cluster refuses a request, empty where none does.

    Raises ClusterError where the API server does not respond, or does not accept the credentials.
    """
    message = ""

    def is_final() -> bool:
        nonlocal message
        try:
            request()
        except ApiException as error:
            message = reason(error)
            if not error.status or error.status == 401:
                raise ClusterError(message) from error
            return not may_pass(message)
        message = ""
        return True

    poll(is_final, every=0.3, timeout=_AGAIN)
    return message if is_of_the_cluster(message) else ""


def smallest_of_each_kind(documents: Iterable[Document]) -> list[Document]:
    """Return the smallest document of each kind: it has the fewest fields that a version may lack."""
    by_kind: dict[tuple[str, str], Document] = {}
    for document in sorted(documents, key=lambda each: len(str(each))):
        by_kind.setdefault((document["apiVersion"], document["kind"]), document)
    return list(by_kind.values())


def _images(document: Document) -> list[str]:
    if document["kind"] != "Deployment":
        return []
    return [container["image"] for container in document["spec"]["template"]["spec"]["containers"]]


def _addresses(documents: Iterable[Document]) -> set[str]:
    """Return the reserved addresses in some documents."""
    return {address for document in documents for address in _RESERVED.findall(str(document))}
