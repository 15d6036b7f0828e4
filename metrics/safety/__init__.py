"""Safety labels of answers: a small encoder, its thresholds, and the rates computed from them."""
