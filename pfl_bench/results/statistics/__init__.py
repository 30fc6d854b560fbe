"""Judgement from numbers: what is real, for whom, at what cost. NumPy, pandas and SciPy; neither torch nor ray.

Everything works on *results frames*, whoever made the runs: a row per run with the columns ``scenario``, ``entry``
(a method, or one of its variants), ``seed`` and ``accuracy`` (percent), and ``partition_sha256`` where it is known.
Where a scenario is ranked by another metric, ``accuracy`` is that one (``results.primary``).
"""
