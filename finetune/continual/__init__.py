"""Going on with a bundle's training when documents come, without forgetting the old ones."""
