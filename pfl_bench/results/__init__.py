"""Frames in, judgement out. Imports neither torch nor ray."""
