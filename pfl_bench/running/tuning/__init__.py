"""Choosing hyper-parameters for a suite: equally many trials for every method, judged on validation only."""
