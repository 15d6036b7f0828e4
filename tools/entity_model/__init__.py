"""The embedded entity model: its corpus, its training, its measure. Nothing here is imported to use it."""
