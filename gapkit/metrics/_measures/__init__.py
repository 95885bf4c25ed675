"""The metrics: a file each, or one for those that share a mean."""
