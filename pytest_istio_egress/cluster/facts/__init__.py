"""Detectors of the facts of a mesh, in modules by subject; table.py lists them."""
