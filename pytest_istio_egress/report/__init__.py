"""The reports of a run: formats, readers, comparison. No pytest and no cluster."""
