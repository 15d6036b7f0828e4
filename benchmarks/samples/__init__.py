"""Three small sample sets that ship with medbench."""
