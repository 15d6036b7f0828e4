"""Entity metrics: what diseases and chemicals an answer names, and whether the reference does."""
