"""Recurrent layers: torch's with each video's own last frame, and the layer-normalised one."""
