"""Export of models for other programs: merged weights, GGUF, Ollama, the hub."""
