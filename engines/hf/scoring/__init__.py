"""Log-probabilities of options, with shared prefixes computed once."""
