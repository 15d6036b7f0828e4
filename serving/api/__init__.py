"""The HTTP API of a model: `medbench serve`."""
