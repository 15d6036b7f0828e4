"""Log-likelihood of answers, with shared prefixes computed once."""
