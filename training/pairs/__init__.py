"""Training pairs that ship with medbench, written for it."""
