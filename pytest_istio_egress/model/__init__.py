"""Plain data that every folder shares: cases, probes, expected outcomes, facts, differences, result names."""
