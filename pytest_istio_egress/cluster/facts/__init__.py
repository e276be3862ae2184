"""How each fact of a mesh is found out: one detector each, in a module by subject; table.py lists them."""
