"""Members of an ensemble: where their rows come from, and how they are laid out."""
