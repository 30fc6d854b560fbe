"""Somebody else's figures: read from files (``read_figures``), kept beside a suite's runs (``keep_imported``)."""

from .figures import Figure, keep_imported, read_imported, with_imported
from .readers import read_figures
from .wanted import Wanted

__all__ = ["Figure", "Wanted", "keep_imported", "read_figures", "read_imported", "with_imported"]
