"""Programs that made what medbench ships. Nothing here is in the wheel."""
