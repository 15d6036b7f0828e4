"""The default engine: transformers and torch on this machine's CPU or GPU."""
