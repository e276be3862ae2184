"""Everything that speaks to the cluster: its API, its pods, its proxies."""
