"""What the Istio resources of a mesh mean for one request: which apply, and why others do not; pure functions."""
