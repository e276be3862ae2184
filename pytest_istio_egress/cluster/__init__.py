"""Access to the cluster: its API, its pods and its proxies."""
