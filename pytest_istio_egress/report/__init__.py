"""What a run found out, as its users read it."""
