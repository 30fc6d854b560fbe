"""What a board found, in sentences: each says which table it was read from, and none says more than its test allows."""

from .said_of_basis import compared
from .said_of_entries import WATCHED, controls, held_out, standing, watched
from .said_of_ideas import costs, factors, hurt, limits, unhelpful
from .words import Tables

CHAPTERS = (
    ("What was compared", compared),
    ("Does anything beat the controls?", controls),
    ("Who stands where", standing),
    ("When does an idea pay?", factors),
    ("What does it cost to personalise where nothing sets clients apart?", unhelpful),
    (f"Where does {WATCHED} stand?", watched),
    ("For whom", hurt),
    ("At what cost", costs),
    ("What was held out", held_out),
    ("What this cannot tell", limits),
)


def findings(title: str, tables: Tables) -> str:
    """A Markdown page: an answer per question, its table named behind every sentence; a question that the tables say
    nothing of is left out."""
    lines = [f"# What {title} found", ""]
    for heading, sentences in CHAPTERS:
        if told := list(sentences(tables)):
            lines += [f"## {heading}", "", *(f"- {sentence}" for sentence in told), ""]
    return "\n".join(lines)
