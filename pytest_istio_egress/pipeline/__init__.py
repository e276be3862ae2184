"""One test, in order: set up, probe, find the log lines, compare, retry, explain a failure, collect its evidence."""
