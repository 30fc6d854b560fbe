"""Client models: one file per family, found by discovery."""
