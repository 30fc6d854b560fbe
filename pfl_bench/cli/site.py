"""The command ``site``: what it says."""

from pfl_bench.actions.site import SiteRequest, make_site
from pfl_bench.text import counted

from .terminal import make_console, say

MOST_NOTES = 20


def write_site(request: SiteRequest) -> int:
    """Write the site and say where its first page is."""
    console, made = make_console(), make_site(request)
    for note in made.notes[:MOST_NOTES]:
        say(console, note)
    if len(made.notes) > MOST_NOTES:
        say(console, f"and {counted(len(made.notes) - MOST_NOTES, 'more note')}")
    size = sum(path.stat().st_size for path in made.files)
    say(console, f"Written: {counted(len(made.files), 'file')}, {size / 1e6:.1f} MB. Open {made.front}")
    return 0
