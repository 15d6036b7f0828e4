"""What a third party gives medbench: a benchmark, metrics, an engine and models, all found by their entry points."""
