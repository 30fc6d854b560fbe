"""Frames in, judgement out. Imports neither torch nor ray."""

PAGE = "html"
EVERY_FORMAT = ("csv", "md", "tex", PAGE)
"""What a leaderboard can be written as: tables (``render.FORMATS``) and the page of the report."""
