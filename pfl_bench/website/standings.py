"""Where every method stands, suite by suite and scenario by scenario."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .boards import Board


@dataclass(frozen=True)
class Place:
    """An entry in a scenario of a suite: its rank of ``of``, or why it has none (``why``)."""

    suite: str
    scenario: str
    entry: str
    rank: int | None
    of: int
    accuracy: str
    marks: tuple[str, ...]
    why: str


@dataclass
class Standing:
    """A method over suites. ``places``: in every scenario that counts; ``summary``: by suite, in a few words."""

    places: list[Place] = field(default_factory=list)
    summary: dict[str, str] = field(default_factory=dict)


def standings(boards: Iterable[Board]) -> dict[str, Standing]:
    """By method, its standing in all suites."""
    found: dict[str, Standing] = {}
    for board in boards:
        methods = methods_of(board)
        for method in dict.fromkeys(methods.values()):
            own = found.setdefault(method, Standing())
            entries = [entry for entry in board.matrix.rows if methods.get(entry) == method]
            own.places += [
                _place(board, entry, column.scenario) for entry in entries for column in board.matrix.counting
            ]
            own.summary[board.name] = _summary(board, entries)
    return found


def methods_of(board: Board) -> Mapping[str, str]:
    """The method of every entry of a suite; several entries may be variants of one."""
    return dict(zip(board.named["entry"].astype(str), board.named["method"].astype(str), strict=True))


def _place(board: Board, entry: str, scenario: str) -> Place:
    cell = board.matrix.cells[entry, scenario]
    spread = f" ± {cell.std:.2f}" if cell.std is not None else ""
    accuracy = "" if cell.mean is None else f"{cell.mean:.2f}{spread}"
    return Place(board.name, scenario, entry, cell.rank, cell.of, accuracy, cell.marks, cell.why)


def measure_of(board: Board) -> str:
    """What ``Standing.summary`` gives for a suite: the rank in its one scenario, else the mean rank."""
    columns = board.matrix.counting
    if len(columns) == 1:
        ranked = [cell.of for cell in board.matrix.cells.values() if cell.rank is not None]
        return f"rank of {max(ranked, default=0)}"
    return f"mean rank of {len(board.matrix.mean_ranks)}"


def _summary(board: Board, entries: list[str]) -> str:
    """``measure_of`` of the best of a method's entries; where it has no mean rank, in how many scenarios it ran."""
    columns = board.matrix.counting
    ranks = {
        column.scenario: [r for e in entries if (r := board.matrix.cells[e, column.scenario].rank) is not None]
        for column in columns
    }
    if len(columns) == 1:
        return ", ".join(str(min(own)) for own in ranks.values() if own)
    means = [board.matrix.mean_ranks[entry] for entry in entries if entry in board.matrix.mean_ranks]
    if means:
        return f"{min(means):.1f}"
    ran = sum(bool(own) for own in ranks.values())
    return f"in {ran} of {len(columns)} scenarios" if ran else ""
