"""Models exported for other programs: merged weights, GGUF, Ollama, the hub."""
