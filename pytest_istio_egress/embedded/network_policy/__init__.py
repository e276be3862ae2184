"""Enforces NetworkPolicy on the embedded node, which CNI's own plugins do not.

Covered: networking.k8s.io/v1 for pods with IPv4 and IPv6 addresses, ingress and egress, podSelector, namespaceSelector,
both together, ipBlock with except, TCP, UDP and SCTP ports by number, range and name, policyTypes and their defaults.
Policies are additive; other packets are dropped, so that a client sees a timeout. A change also applies to existing
connections: every packet of the side that opened one is checked.

As the API defines it, a pod reaches itself, the node (and so the kubelet's probes) reaches its pods, and pods on the
host's network are not selected.

Not covered: AdminNetworkPolicy; writing to a policy's status. Rules apply to a pod once its status has its
address, which can be a fraction of a second after its first container has started.

  pod -> veth -> node: nat (Service to pod) -> forward: egress of the sender, ingress of the receiver -> veth -> pod
                                            -> input (API server, node): egress of the sender
"""
