"""Text generation: decoding with continuous batching, and transformers' own `generate`."""
