"""Run folders: what they hold, going on from them, and what is made of their weights."""
