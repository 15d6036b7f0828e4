"""The shipped entity model: its corpus, training and evaluation. Nothing here is imported to use the model."""
