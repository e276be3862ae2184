"""The command line, istio-egress: a module for each command."""
