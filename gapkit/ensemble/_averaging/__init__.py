"""Averages of members, in memory and from file to file."""
