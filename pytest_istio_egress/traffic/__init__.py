"""Steady egress traffic from client pods during an upgrade, and the report of its losses."""
