"""The leaderboard as one HTML file: results frames in, a page out. Imports neither torch nor ray."""
