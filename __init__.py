"""medbench: evaluation-first benchmarks, metrics and a self-training model zoo for medical question answering."""

__version__ = "0.1.0"
