"""The arenas: one file per data source. Found by discovery; imported as ``pfl_bench.datasets``."""
