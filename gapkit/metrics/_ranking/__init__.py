"""What every metric starts from: predictions joined to labels, and summed by ranges."""
