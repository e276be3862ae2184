"""A real cluster: what a user on this machine sees of it."""

from __future__ import annotations

import re
import subprocess
import urllib.request
from pathlib import Path

import pytest

from pytest_istio_egress.embedded import ClusterSpec, EmbeddedCluster, EmbeddedError, status, up

from .conftest import HTTPBIN, Kubectl, pod

pytestmark = pytest.mark.embedded
# Some kernels put these into every network namespace; they are down and lead nowhere.
OF_EVERY_NAMESPACE = {"tunl0", "sit0", "ip6tnl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6gre0"}


def test_tools_print_the_versions_that_were_built(cluster: EmbeddedCluster, kubectl: Kubectl) -> None:
    told = kubectl("version")
    assert re.findall(r"(?:Client|Server) Version: (.*)", told) == [cluster.kubernetes] * 2
    told = kubectl("version", "--short", program="istioctl")
    assert f"client version: {cluster.istio}" in told
    assert f"data plane version: {cluster.istio}" in told


def test_a_second_up_finds_it_and_refuses_other_versions(cluster: EmbeddedCluster) -> None:
    again = up(ClusterSpec(name=cluster.name))
    assert not again.started
    assert again.kubeconfig == cluster.kubeconfig
    with pytest.raises(EmbeddedError, match=re.escape(cluster.envoy)) as refused:
        up(ClusterSpec(name=cluster.name, envoy="1.2.3"))
    assert cluster.name in (refused.value.remedy or "")
    assert status(cluster.name).cluster == again


def test_restricted_pod_runs_with_seccomp_and_answers_exec_and_logs(kubectl: Kubectl, namespace: str) -> None:
    kubectl.apply(pod(namespace, "client"), pod(namespace, "server", HTTPBIN))
    kubectl.ready(namespace, "client", "server")
    assert "Seccomp:\t2" in kubectl("-n", namespace, "exec", "client", "--", "cat", "/proc/self/status")
    url = f"http://{kubectl.address(namespace, 'server')}:8080/anything/{namespace}"
    assert namespace in kubectl("-n", namespace, "exec", "client", "--", "curl", "-sS", "-m5", url)
    assert f"/anything/{namespace}" in kubectl("-n", namespace, "logs", "server")


def test_port_forward(kubectl: Kubectl, namespace: str) -> None:
    kubectl.apply(pod(namespace, "server", HTTPBIN))
    kubectl.ready(namespace, "server")
    command = kubectl.command("-n", namespace, "port-forward", "pod/server", ":8080")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as forward:
        try:
            assert forward.stdout is not None
            found = re.search(r"127\.0\.0\.1:(\d+)", forward.stdout.readline())
            assert found
            with urllib.request.urlopen(f"http://127.0.0.1:{found[1]}/status/204", timeout=10) as answer:
                assert answer.status == 204
        finally:
            forward.terminate()


def test_there_is_no_way_out(cluster: EmbeddedCluster, kubectl: Kubectl, namespace: str) -> None:
    kubectl.apply(pod(namespace, "client"))
    kubectl.ready(namespace, "client")
    # TEST-NET-1 is nobody's address; inside, the node itself turns it down.
    refused = kubectl.run("-n", namespace, "exec", "client", "--", "curl", "-sS", "-m5", "http://192.0.2.1/")
    assert "exit code 7" in refused.stderr
    unknown = kubectl.run("-n", namespace, "exec", "client", "--", "curl", "-sS", "-m5", "http://example.test/")
    assert "exit code 6" in unknown.stderr
    etcd = next(group for group in Path("/proc").glob("[0-9]*/cgroup") if belongs(group, cluster.name))
    devices = {line.split(":")[0].strip() for line in (etcd.parent / "net/dev").read_text().splitlines()[2:]}
    assert {device for device in devices if not device.startswith("veth")} <= {"lo", "node0"} | OF_EVERY_NAMESPACE


def belongs(group: Path, name: str) -> bool:
    try:
        ours = f"istio-egress-{name}" in group.read_text()
        return ours and (group.parent / "comm").read_text() == "etcd\n"
    except OSError:  # it ended while we looked
        return False


def test_injection_and_validation_work(kubectl: Kubectl, namespace: str) -> None:
    kubectl("label", "namespace", namespace, "istio-injection=enabled")
    # istio-init changes the pod's iptables, which the restricted level does not allow.
    kubectl("label", "--overwrite", "namespace", namespace, "pod-security.kubernetes.io/enforce=privileged")
    kubectl.apply(pod(namespace, "client"))
    kubectl.ready(namespace, "client")
    said = kubectl.run(
        "-n", namespace, "exec", "client", "-c", "client", "--", "curl", "-sS", "-m5", "http://192.0.2.1/"
    )
    assert "exit code" not in said.stderr
    log = kubectl("-n", namespace, "logs", "client", "-c", "istio-proxy")
    assert "block_all" in log
    wrong = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "wrong", "namespace": namespace},
        "spec": {"hosts": ["*"], "http": [{"route": [{"destination": {"host": "a.test"}}]}]},
    }
    refused = kubectl.run("create", "-f", "-", given=wrong)
    assert "validation.istio.io" in refused.stderr
