"""Text generation: greedy decoding with continuous batching, and transformers' own `generate`."""
