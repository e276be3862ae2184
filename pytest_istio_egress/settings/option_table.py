"""The table of settings: each field of `Settings` declares its option. options.py reads their values."""

# ruff: noqa: RUF009  # `option` returns a dataclass field, as dataclasses.field does
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_istio_egress.model.case import AMBIENT, DATA_PLANES, FEATURES, PROFILES, SIDECAR_PLANE
from pytest_istio_egress.model.mesh_facts import FACTS
from pytest_istio_egress.model.placement import AUTO, DEFAULT_REGISTRY, IMAGES, USER_IDS
from pytest_istio_egress.settings.option import (
    CONTEXT,
    CONTEXT_HELP,
    EMBEDDED,
    KUBECONFIG_HELP,
    key_value,
    one_of,
    option,
    options_of,
    valid_annotation,
    valid_fact,
    valid_gateway,
    valid_label,
    valid_namespaced_name,
    valid_prepared_name,
    valid_registry,
    valid_resource,
    valid_toleration,
)

OWN, ALL, NONE = UNSTEADY_CHOICES = ("own", "all", "none")
"""Which unsteady parameters fail."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of one run."""

    places: Mapping[str, str]
    """The place that each value comes from (options.PLACES), by the name of the setting."""

    target: str = option(
        kind="target",
        metavar="{context,embedded}",
        default=CONTEXT,
        help="Cluster to test: a kubeconfig context (default), or a one-node cluster started on this machine",
    )
    context: str | None = option(metavar="NAME", only_for=CONTEXT, help=CONTEXT_HELP)
    kubeconfig: Path | None = option(kind="path", metavar="PATH", only_for=CONTEXT, help=KUBECONFIG_HELP)
    envoy: str | None = option(metavar="VERSION", only_for=EMBEDDED, help="Envoy release of the embedded cluster")
    istio: str | None = option(
        metavar="RELEASE", only_for=EMBEDDED, help="Istio release, tag or commit of the embedded cluster"
    )
    proxy_binary: Path | None = option(
        kind="path", metavar="PATH", only_for=EMBEDDED, help="Your own Envoy binary for the embedded cluster's proxies"
    )
    ip_family: str | None = option(
        metavar="{ipv4,ipv6,dual}",
        complaint=one_of(("ipv4", "ipv6", "dual"), "IP family"),
        only_for=EMBEDDED,
        help="IP family of the embedded cluster. Default: ipv4",
    )
    name: str | None = option(metavar="NAME", only_for=EMBEDDED, help="Name of the embedded cluster")
    keep_cluster: bool = option(
        kind="flag", default=False, only_for=EMBEDDED, help="Leave the embedded cluster running after the run"
    )
    install_packages: bool = option(
        kind="flag",
        default=False,
        only_for=EMBEDDED,
        help="Install missing Debian packages for the embedded cluster",
    )
    allow_mesh_wide: bool = option(
        kind="flag",
        default=False,
        help="Also run tests that change mesh-wide configuration. Always on for the embedded cluster",
    )
    prepared: str | None = option(
        metavar="NAME",
        only_for=CONTEXT,
        complaint=valid_prepared_name,
        help="Use the namespaces that were prepared under this name (istio-egress namespaces NAME), and create none",
    )
    revision: str | None = option(
        metavar="NAME", help="Istio revision or tag to test. Default: the mesh's default revision"
    )
    gateway: str | None = option(
        metavar="NAMESPACE/SERVICE",
        complaint=valid_gateway,
        help="Egress gateway Service to test. Default: the mesh's, if tests can use one; else the run deploys one. "
        "'mesh': only the mesh's. 'own': deploy one for this run. 'none': skip tests that need one",
    )
    fact: tuple[str, ...] = option(
        kind="list",
        metavar="NAME=VALUE",
        default=(),
        complaint=valid_fact,
        help=f"Override a detected mesh fact ({', '.join(FACTS)})",
    )
    require: tuple[str, ...] = option(
        kind="list",
        metavar="FEATURE",
        default=(),
        complaint=one_of(FEATURES, "feature"),
        help=f"Fail instead of skip tests that need this feature ({', '.join(FEATURES)})",
    )
    data_plane: str | None = option(
        metavar="{" + ",".join(DATA_PLANES) + "}",
        complaint=one_of(DATA_PLANES, "data plane"),
        help="Data plane to test. 'sidecar': no ambient tests. 'ambient': only these. 'both': fail if the mesh has no "
        "ambient mode. Default: what is there",
    )
    ca: Path | None = option(
        kind="path",
        metavar="PATH",
        help="PEM file with the certificate authorities of your own hosts, for https probes from your own workloads",
    )
    fail_unsteady: str = option(
        metavar="{" + ",".join(UNSTEADY_CHOICES) + "}",
        default=OWN,
        complaint=one_of(UNSTEADY_CHOICES, "choice"),
        help="Which parameters fail that pass only after a failure. 'own' (default): those that probe from your own "
        "workloads. 'all': the shipped ones too. 'none': they are only reported as unsteady",
    )
    profile: str = option(
        metavar="{" + ",".join(PROFILES) + "}",
        default=PROFILES[-1],
        complaint=one_of(PROFILES, "profile"),
        help="Tests to run. 'core': tests that need only sidecars. 'extended': also those that need an egress gateway "
        "or an optional feature. 'all' (default): also those that change mesh-wide configuration, where allowed",
    )
    image: tuple[str, ...] = option(
        kind="list",
        metavar="NAME=IMAGE",
        default=(),
        complaint=key_value(IMAGES, "image"),
        help=f"Replace an image of the run's pods ({', '.join(IMAGES)})",
    )
    image_registry: str | None = option(
        metavar="HOST[:PORT][/PATH]",
        complaint=valid_registry,
        help=f"Registry of the run's images in place of {DEFAULT_REGISTRY} (`istio-egress images` lists them)",
    )
    pull_secret: tuple[str, ...] = option(
        kind="list",
        metavar="NAMESPACE/NAME",
        default=(),
        complaint=valid_namespaced_name,
        help="Image pull secret, copied into the run's namespaces",
    )
    node_selector: tuple[str, ...] = option(
        kind="list", metavar="KEY=VALUE", default=(), complaint=key_value(), help="Node selector of the run's pods"
    )
    toleration: tuple[str, ...] = option(
        kind="list",
        metavar="KEY[=VALUE][:EFFECT]",
        default=(),
        complaint=valid_toleration,
        help="Toleration of the run's pods",
    )
    label: tuple[str, ...] = option(
        kind="list",
        metavar="KEY=VALUE",
        default=(),
        complaint=valid_label,
        help="Label of the run's namespaces, pods and all other objects",
    )
    annotation: tuple[str, ...] = option(
        kind="list",
        metavar="KEY=VALUE",
        default=(),
        complaint=valid_annotation,
        help="Annotation of the run's namespaces, pods and all other objects",
    )
    resource: tuple[str, ...] = option(
        kind="list",
        metavar="requests|limits.RESOURCE=AMOUNT",
        default=(),
        complaint=valid_resource,
        help="Request or limit of the run's containers, such as limits.cpu=500m (of proxies: with the annotations "
        "sidecar.istio.io/proxyCPU, proxyMemory, proxyCPULimit, proxyMemoryLimit)",
    )
    user_ids: str = option(
        metavar="{" + ",".join(USER_IDS) + "}",
        default=AUTO,
        complaint=one_of(USER_IDS, "choice"),
        help="User ids of the run's containers. 'fixed': those of the manifests. 'assigned': none is set, so the "
        "platform assigns them. 'auto' (default): assigned on OpenShift, else fixed",
    )
    timeout_scale: float = option(
        kind="factor", metavar="FACTOR", default=1.0, help="Multiply all timeouts by this factor. Default: 1"
    )
    report: Path | None = option(kind="path", metavar="PATH", help="Write a conformance report (YAML)")
    html: Path | None = option(kind="path", metavar="PATH", help="Write a self-contained HTML report")
    baseline: Path | None = option(
        kind="path",
        metavar="PATH",
        help="Earlier conformance report: tests that failed there are known deviations; tests missing here fail the "
        "run",
    )
    known_deviations: Path | None = option(
        kind="path",
        metavar="PATH",
        help="YAML file of accepted deviations, each with a reason and an expiry date",
    )

    @property
    def required_features(self) -> tuple[str, ...]:
        """The features whose absence fails tests: those of `require`, and ambient mode where it was chosen."""
        chosen = self.data_plane not in (None, SIDECAR_PLANE) and AMBIENT not in self.require
        return (*self.require, *((AMBIENT,) if chosen else ()))

    def fails_unsteady(self, *, own_workload: bool) -> bool:
        """Whether a parameter fails that passed only after a failure, by whose client it probes from."""
        return self.fail_unsteady != NONE and (own_workload or self.fail_unsteady == ALL)

    @property
    def runs_mesh_wide(self) -> bool:
        """Whether tests that change mesh-wide configuration run."""
        return self.allow_mesh_wide or self.target == EMBEDDED


OPTIONS = options_of(Settings)
_OF_PLACEMENT = (
    "image", "image_registry", "pull_secret", "node_selector", "toleration", "label", "annotation", "resource",
    "user_ids",
)  # fmt: skip
PLACEMENT_OPTIONS = tuple(option for option in OPTIONS if option.name in _OF_PLACEMENT)
"""The options that model.placement.Placement is built from."""
