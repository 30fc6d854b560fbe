"""The contestants: one file per method. Found by discovery; imported as ``pfl_bench.methods``."""
