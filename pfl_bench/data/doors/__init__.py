"""Doors to where people are: a scenario's split written in the forms of other frameworks, and read back.

``make_split(scenario, seed)`` is what is written, ``export_split(split, "flower", folder)`` writes it,
``read_split(folder)`` reads it back, bit by bit, and ``import_split("pfllib", folder, out)`` brings what somebody else
made into a form that runs. A form is one module and one line of ``FORMATS``.
"""

from .export import export_split
from .formats import FORMATS, find_format
from .importing import Imported, import_split
from .reading import read_split
from .split import Split, make_split

__all__ = ["FORMATS", "Imported", "Split", "export_split", "find_format", "import_split", "make_split", "read_split"]
