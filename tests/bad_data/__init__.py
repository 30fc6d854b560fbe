"""Bad data files by the hundred, each bad for a known reason: ``python -m tests.bad_data --count 1000``."""
