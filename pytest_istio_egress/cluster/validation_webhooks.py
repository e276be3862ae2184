"""Istio's validating webhooks: which of them checks a manifest.

no label                 -> istiod-default-validator                 the istiod of the default revision, if there is one
istio.io/rev: canary     -> istio-validator-canary-istio-system      the istiod of that revision
"""

from __future__ import annotations

from collections.abc import Mapping

from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.facts.objects import Object
from pytest_istio_egress.cluster.facts.revisions import REVISION
from pytest_istio_egress.model.label_selector import matches
from pytest_istio_egress.model.mesh_facts import DEFAULT_REVISION

_WEBHOOK = "validation.istio.io"
"""The name of the default webhook, and the end of the name of a revision's."""


class NotValidatedError(ClusterError):
    """No webhook of Istio checks manifests for this revision."""


def validated_labels(api: Api, revision: str) -> dict[str, str]:
    """Return the labels with which an object is checked by the istiod of a revision; none if it is without.

    Raises NotValidatedError where no webhook selects such an object, or the webhooks cannot be listed.
    """
    try:
        configurations = api.resource("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration").get()
    except ApiException as error:
        raise NotValidatedError(f"cannot list ValidatingWebhookConfigurations: {reason(error)}") from error
    hooks = [
        hook
        for configuration in configurations.to_dict()["items"]
        for hook in configuration.get("webhooks") or ()
        if hook["name"].endswith(_WEBHOOK)
    ]
    if not hooks:
        raise NotValidatedError(
            f"Istio's validating webhook is not installed (no ValidatingWebhookConfiguration for {_WEBHOOK})"
        )
    unlabelled: dict[str, str] = {}
    by_revision = {REVISION: revision}
    for labels in (unlabelled, by_revision) if revision == DEFAULT_REVISION else (by_revision, unlabelled):
        if any(_selects(hook, labels) for hook in hooks):
            return labels
    raise NotValidatedError(
        f"no validating webhook of Istio selects objects of the revision {revision} (objectSelector of the webhooks "
        f"{_WEBHOOK})"
    )


def _selects(hook: Object, labels: Mapping[str, str]) -> bool:
    return matches(hook.get("objectSelector"), dict(labels))
