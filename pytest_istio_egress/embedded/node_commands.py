"""The command line and configuration file of each of the node's components."""

from __future__ import annotations

import json
import sys

from pytest_istio_egress.embedded.node_plan import (
    CNI_CONFIGURATION,
    CNI_PLUGINS,
    CONTAINERD_SOCKET,
    ETCD,
    NETWORK_POLICY_HOLDS,
    RUN,
    NodePlan,
)


def etcd(plan: NodePlan) -> list[str]:
    """Return the command of etcd: its data is in memory and ends with the node, so it need not be synced to a disk.

    A single etcd need not wait for others, which it does for the time of an election, a second by default.
    """
    client, peer = f"http://{ETCD}", "http://127.0.0.1:2380"
    return [
        plan.binary("etcd"), f"--data-dir={RUN}/etcd", "--unsafe-no-fsync", "--log-level=warn",
        f"--listen-client-urls={client}", f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}", "--heartbeat-interval=20",
        "--election-timeout=100",
    ]  # fmt: skip


def kube_apiserver(plan: NodePlan) -> list[str]:
    """Return the command of the API server. It serves pods through its Service, the machine through a forwarder."""
    return [
        plan.binary("kubernetes", "kube-apiserver"), f"--etcd-servers=http://{ETCD}", "--secure-port=6443",
        f"--advertise-address={plan.networks[0].node}",
        f"--service-cluster-ip-range={','.join(network.services for network in plan.networks)}",
        f"--tls-cert-file={plan.pki}/apiserver.crt", f"--tls-private-key-file={plan.pki}/apiserver.key",
        f"--client-ca-file={plan.pki}/ca.crt", "--authorization-mode=Node,RBAC", "--allow-privileged=true",
        "--enable-admission-plugins=NodeRestriction",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={plan.pki}/service-account.pub",
        f"--service-account-signing-key-file={plan.pki}/service-account.key",
        f"--kubelet-certificate-authority={plan.pki}/ca.crt", "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-client-certificate={plan.pki}/apiserver-kubelet.crt",
        f"--kubelet-client-key={plan.pki}/apiserver-kubelet.key", "--profiling=false",
    ]  # fmt: skip


def kube_controller_manager(plan: NodePlan) -> list[str]:
    """One of it, so it needs no leader election."""
    return [
        plan.binary("kubernetes", "kube-controller-manager"), f"--kubeconfig={plan.pki}/controller-manager.conf",
        f"--service-account-private-key-file={plan.pki}/service-account.key", f"--root-ca-file={plan.pki}/ca.crt",
        f"--cluster-signing-cert-file={plan.pki}/ca.crt", f"--cluster-signing-key-file={plan.pki}/ca.key",
        "--allocate-node-cidrs=false", "--leader-elect=false", "--bind-address=127.0.0.1",
    ]  # fmt: skip


def kube_scheduler(plan: NodePlan) -> list[str]:
    """One of it, so it needs no leader election."""
    config = f"--kubeconfig={plan.pki}/scheduler.conf"
    return [plan.binary("kubernetes", "kube-scheduler"), config, "--leader-elect=false", "--bind-address=127.0.0.1"]


def kube_proxy(plan: NodePlan) -> list[str]:
    """Return the command of kube-proxy. It sets no conntrack limits, which cannot be set in a network namespace."""
    untouched = ("max-per-core", "min", "tcp-timeout-established", "tcp-timeout-close-wait", "udp-timeout",
                 "udp-timeout-stream")  # fmt: skip
    return [
        plan.binary("kubernetes", "kube-proxy"), f"--kubeconfig={plan.pki}/kube-proxy.conf", "--proxy-mode=iptables",
        f"--hostname-override={plan.node}", f"--cluster-cidr={','.join(network.pods for network in plan.networks)}",
        "--iptables-min-sync-period=50ms",
        *(f"--conntrack-{name}=0" for name in untouched),
    ]  # fmt: skip


def network_policy(plan: NodePlan) -> list[str]:
    """Return the command of this package's controller: CNI's plugins do not enforce NetworkPolicy."""
    module = "pytest_istio_egress.embedded.network_policy.controller"
    return [sys.executable, "-m", module, str(plan.pki), str(NETWORK_POLICY_HOLDS)]


def containerd(plan: NodePlan) -> list[str]:
    """Write its configuration and return its command."""
    cri = 'plugins."io.containerd.cri.v1.runtime"'
    config = f"""
version = 3
root = "{RUN}/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.erofs", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "{CONTAINERD_SOCKET}"
[{cri}]
  restrict_oom_score_adj = true
  [{cri}.cni]
    bin_dirs = ["{plan.cni_plugins}", "{CNI_PLUGINS}"]
    conf_dir = "{CNI_CONFIGURATION}"
  [{cri}.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [{cri}.containerd.runtimes.runc.options]
      SystemdCgroup = false
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{plan.pause_image}"
"""
    (RUN / "containerd.toml").write_text(config, encoding="utf-8")
    return [plan.binary("containerd"), "--config", f"{RUN}/containerd.toml", "--log-level", "warn"]


def write_cni(plan: NodePlan) -> None:
    """Connect each pod to the node by its own link (ptp), so that all its packets cross the node's forward chain.

    pod eth0 --veth-- node (routing; kube-proxy's and network policy's rules) --veth-- eth0 of another pod
    """
    addresses = {
        "type": "host-local",
        "dataDir": f"{RUN}/cni-addresses",
        "ranges": [[{"subnet": network.pods}] for network in plan.networks],
        "routes": [{"dst": network.anywhere} for network in plan.networks],
    }
    plugins = [
        {"type": "ptp", "ipMasq": False, "mtu": 1500, "ipam": addresses},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    CNI_CONFIGURATION.mkdir(exist_ok=True)
    network = {"cniVersion": "1.0.0", "name": "pods", "plugins": plugins}
    (CNI_CONFIGURATION / "10-pods.conflist").write_text(json.dumps(network), encoding="utf-8")


def kubelet(plan: NodePlan) -> list[str]:
    """Write its configuration and return its command; JSON is YAML."""
    never = {"memory.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%"}
    config = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{plan.pki}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{plan.pki}/kubelet-server.crt",
        "tlsPrivateKeyFile": f"{plan.pki}/kubelet-server.key",
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "localStorageCapacityIsolation": False,
        # Images cannot be pulled again and the disk is shared with the machine: nothing is ever evicted.
        "evictionHard": never,
        "imageGCHighThresholdPercent": 100,
        "clusterDNS": [plan.networks[0].dns_service],
        "clusterDomain": "cluster.local",
        "resolvConf": f"{RUN}/resolv.conf",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "podLogsDir": f"{RUN}/pod-logs",
        "volumePluginDir": f"{RUN}/volume-plugins",
        "maxPods": 250,
        "eventRecordQPS": 0,
        "healthzPort": 0,
    }
    (RUN / "kubelet.json").write_text(json.dumps(config), encoding="utf-8")
    (RUN / "resolv.conf").write_text(f"nameserver {plan.networks[0].dns_service}\n", encoding="utf-8")
    return [
        plan.binary("kubernetes", "kubelet"), f"--config={RUN}/kubelet.json", f"--kubeconfig={plan.pki}/kubelet.conf",
        f"--hostname-override={plan.node}", f"--root-dir={RUN}/kubelet",
        f"--node-ip={','.join(network.node for network in plan.networks)}",
    ]  # fmt: skip
