"""The page of `medbench ui`: one or two models answer side by side in a browser."""
