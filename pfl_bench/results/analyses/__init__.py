"""What a suite shows beyond its leaderboard: each module reads finished runs and writes a CSV and a picture."""
