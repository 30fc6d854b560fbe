"""The conformance kit: is a method a fair entrant? ``pfl-bench check`` and the tests run the same checks."""

from .checks import CHECKS
from .kit import Check, Context, examine, run_check

__all__ = ["CHECKS", "Check", "Context", "examine", "run_check"]
