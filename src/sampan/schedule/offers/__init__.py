"""Two-level scheduling: offers of free shares to frameworks, out of the snapshot that pods are placed on too."""
