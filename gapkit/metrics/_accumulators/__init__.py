"""The metrics over many updates: update, merge, compute."""
