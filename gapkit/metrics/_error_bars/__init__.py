"""Error bars: videos drawn again with replacement, their weights counted through each metric."""
