"""Text generation: a queue of waiting items over one KV cache."""
