"""Reads the state of the cluster after a failure; nothing here waits, and nothing changes a verdict."""
