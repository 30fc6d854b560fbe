"""pfl-bench: the personalized federated learning benchmark you can trust, and can afford to rerun.

``pfl_bench.api`` is the public interface for methods, data sets, partition rules and client models.
This module imports nothing, so that the leaderboard works without torch and ray.
"""

__version__ = "0.2.0"
