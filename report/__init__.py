"""Stored runs as pages for a browser: a static site that opens from disk, without a server or a network."""
