"""What each member of an ensemble is worth."""
