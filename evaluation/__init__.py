"""Running models on benchmarks: what to run, in which order, and what came of it."""
