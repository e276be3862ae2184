"""Enforces NetworkPolicy on the embedded node: CNI's own plugins do not.

Covered: networking.k8s.io/v1 for pods with IPv4 addresses, ingress and egress, podSelector, namespaceSelector, both
together, ipBlock with except, TCP, UDP and SCTP ports by number, range and name, policyTypes and their defaults.
Policies are additive; what is not allowed is dropped, so a client sees a timeout. A change holds for connections
that exist already: each packet of the asking side is judged again.

As the API has it: a pod reaches itself, the node (so a kubelet's probe) reaches its pods, and pods on the host's
network are not selected.

Not covered: IPv6; AdminNetworkPolicy; writing to a policy's status. A pod is judged from the moment its address
stands in its status, a fraction of a second after its first container may have started.

  pod -> veth -> node: nat (Service to pod) -> forward: egress of the sender, ingress of the receiver -> veth -> pod
                                            -> input (API server, node): egress of the sender
"""
