"""Running models on benchmarks: what to run, in which order, and the results."""
