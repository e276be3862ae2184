"""A DestinationRule's idle timeout for connections to an external host is set in the host's cluster."""

from typing import Any

from pytest_istio_egress import Egress, documented, outbound

TIMEOUT = "2s"
OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


@documented(
    source="reference/config/networking/destination-rule/#ConnectionPoolSettings-HTTPSettings",
    summary="An HTTP idle timeout in a DestinationRule is set in the cluster of its host only",
    outcomes=["destination-rule/idle-timeout"],
)
def test_idle_timeout_set_in_cluster_of_host(egress: Egress) -> None:
    egress.check("idle timeout of the host", idle_timeout(egress, outbound("idle.test")), TIMEOUT)
    # The mesh may have a timeout of its own for hosts without a rule (meshConfig.defaultTrafficPolicy).
    of_another = idle_timeout(egress, outbound("not-idle.test"))
    egress.check("the rule's idle timeout at another host", of_another == TIMEOUT, expected=False)


def idle_timeout(egress: Egress, name: str) -> str | None:
    cluster = egress.config().cluster(egress.in_cluster(name))
    egress.check(f"cluster {name}", "there" if cluster else "missing", "there")
    assert cluster
    options: dict[str, Any] = cluster.raw.get("typed_extension_protocol_options", {}).get(OPTIONS, {})
    timeout: str | None = options.get("common_http_protocol_options", {}).get("idle_timeout")
    return timeout
