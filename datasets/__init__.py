"""The shelf of data sources: one file per data source. Found by discovery; imported as ``pfl_bench.datasets``."""
