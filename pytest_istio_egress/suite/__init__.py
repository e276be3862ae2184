"""The shipped tests as files, and the documented outcomes that they assert; without pytest."""
