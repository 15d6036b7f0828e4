"""Entity metrics: which diseases and chemicals an answer names, and whether the reference names them too."""
