"""Training and evaluation of the encoder in metrics/safety. MODEL_CARD.md describes it; train.py trains it."""
