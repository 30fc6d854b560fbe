"""Frames in, judgement out. Imports neither torch nor ray."""

PAGE = "html"
PICTURES = ("svg", "pdf")
EVERY_FORMAT = ("csv", "md", "tex", PAGE, *PICTURES)
"""What a leaderboard can be written as: tables (``render.FORMATS``), the page of the report, and its figures."""
