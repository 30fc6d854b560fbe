"""The conformance kit: is a method a fair entrant, a client model a sound one? ``pfl-bench check`` and the tests run
the same checks."""

from .check import Check, examine, run_check
from .checks import CHECKS
from .kit import Context
from .model_checks import MODEL_CHECKS
from .model_setup import ModelContext

__all__ = ["CHECKS", "MODEL_CHECKS", "Check", "Context", "ModelContext", "examine", "run_check"]
