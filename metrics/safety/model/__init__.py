"""Weights and tokenizer of the safety encoder. MODEL_CARD.md describes it."""
