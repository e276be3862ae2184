"""Steady egress traffic for the time of an upgrade: kept going from client pods, and what was lost of it told."""
