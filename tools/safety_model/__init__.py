"""The small encoder behind metrics/safety.py. MODEL_CARD.md says what it is, train.py makes it."""
