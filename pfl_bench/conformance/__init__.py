"""The conformance kit: whether a method is a fair entrant. ``pfl-bench check`` and the test suite run the same checks."""

from .checks import CHECKS
from .kit import Check, Context, run_check

__all__ = ["CHECKS", "Check", "Context", "run_check"]
