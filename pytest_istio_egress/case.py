"""What a case is: one documented behaviour, its source, its manifests and what it needs of a mesh."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

DOCUMENTATION = "https://istio.io/latest/docs/"
ATTRIBUTE = "istio_egress_case"
CASE_NAMESPACE = "egress-client"
"""Where the manifests go that name no namespace."""

FEATURES = {
    "registry-only-mesh": "the mesh's own policy is REGISTRY_ONLY",
    "mesh-policy": "the mesh's own policy holds where no namespace has one: no mesh-wide Sidecar overrules it",
    "egress-gateway": "an egress gateway with ports 80 and 443 whose access log can be read",
    "gateway-api": "the Gateway API is served",
    "dynamic-dns": "ServiceEntry knows resolution DYNAMIC_DNS",
    "dynamic-dns-mesh": "the mesh's policy can be ALLOW_ANY_DYNAMIC_DNS",
    "network-policy": "NetworkPolicy is enforced",
    "validation-webhook": "somebody checks Istio's resources before they are kept",
    "secrets-for-proxies": "the run may let its own proxies read secrets of their namespace (implied by a Role)",
    "istio-metrics": "the proxies have Istio's own metrics, which upstream's Envoy lacks",
    "own-sidecar-scope": "no mesh-wide Sidecar limits what proxies know (implied by manifests without a Sidecar)",
}
"""What a case may require of a mesh, by name; requirements.py finds each out."""

ISTIOS_OWN_ENVOY = frozenset({"istio-metrics"})
"""Features that come with Istio's own build of Envoy, so that a mesh on upstream's lacks them."""

CORE, EXTENDED, ALL = PROFILES = ("core", "extended", "all")
"""How much is asked of a mesh; a later profile holds all of an earlier one."""
MESH_WIDE = "mesh_wide"
"""The folder of the cases that change the mesh's own configuration."""
OWN_GATEWAY_FIXTURE = "gateway.yaml"

Test = TypeVar("Test", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class Case:
    """One documented behaviour. `at` is a page below istio.io/latest/docs/ or a full URL; `says` is one sentence.

    `folder` is where the case lies; `manifests` are plain YAML files in it, applied in that order. `requires` names
    features of the mesh (requirements.py). `since` says where today's behaviour differs from an older document:
    version and why. `rows` names the entries of the coverage page that the case answers for. `fixtures` names parts of
    the outside world (files of fixtures/) that only few cases need: made when first needed, they stay for the run.
    `unruled` names what holds whatever the case's manifests are, and why: ids of parameters (controls need no entry),
    or "" for the whole test. `from_istio` is the release of Istio from which on the behaviour is documented.
    """

    at: str
    says: str
    folder: Path
    manifests: tuple[Path, ...]
    requires: tuple[str, ...]
    since: str | None
    rows: tuple[str, ...]
    fixtures: tuple[str, ...] = ()
    unruled: Mapping[str, str] = field(default_factory=dict)
    from_istio: str | None = None

    @property
    def source(self) -> str:
        """The address of the page that documents the behaviour."""
        return self.at if "://" in self.at else DOCUMENTATION + self.at.lstrip("/")

    @property
    def profile(self) -> str:
        """The smallest profile that holds the case: core asks only for sidecars, extended for gateways or features."""
        if self.folder.name == MESH_WIDE:
            return ALL
        return EXTENDED if self.requires or OWN_GATEWAY_FIXTURE in self.fixtures else CORE


def documented(
    *,
    at: str,
    says: str,
    manifests: Iterable[str] | None = None,
    requires: Iterable[str] = (),
    since: str | None = None,
    rows: Iterable[str] = (),
    fixtures: Iterable[str] = (),
    unruled: Mapping[str, str] | None = None,
    from_istio: str | None = None,
) -> Callable[[Test], Test]:
    """Declare a test function as a case. Manifests lie beside it; by default test_x.py has x.yaml."""

    def declare(test: Test) -> Test:
        module = Path(test.__code__.co_filename)
        names = [module.stem.removeprefix("test_") + ".yaml"] if manifests is None else manifests
        case = Case(
            at=at,
            says=says,
            folder=module.parent,
            manifests=tuple(module.parent / name for name in names),
            requires=tuple(sorted(requires)),
            since=since,
            rows=tuple(rows),
            fixtures=tuple(fixtures),
            unruled=dict(unruled or {}),
            from_istio=from_istio,
        )
        setattr(test, ATTRIBUTE, case)
        return test

    return declare


def case_of(test: object) -> Case | None:
    """Return the case that `documented` declared on a test function, None for any other function."""
    return getattr(test, ATTRIBUTE, None)
