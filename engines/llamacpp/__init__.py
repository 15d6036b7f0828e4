"""The engine for GGUF files, computed by llama.cpp."""
