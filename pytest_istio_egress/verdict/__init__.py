"""Pure functions from evidence to differences, from differences to a cause, and to the text of a failure."""
