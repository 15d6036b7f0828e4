"""Stored runs in the formats of other evaluation tools."""
