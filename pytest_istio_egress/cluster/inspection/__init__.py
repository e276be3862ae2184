"""Everything that is read from the cluster after a failure: nothing here waits, and nothing changes a verdict."""
