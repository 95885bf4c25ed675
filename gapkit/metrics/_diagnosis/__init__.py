"""Where GAP is lost, and what missing labels may hide."""
