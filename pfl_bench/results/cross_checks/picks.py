"""``run.json``: which evaluation was selected, by ``history.csv``; and what it says in two places."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pfl_bench.errors import shown
from pfl_bench.metrics import PRIMARY
from pfl_bench.results.record import FINAL, Record

from .sheets import Sheet, differ, written

SHA256_LENGTH = 64
HEXADECIMAL = frozenset("0123456789abcdef")


def check_document(document: Mapping[str, Any], record: Record) -> Iterator[str]:
    """What of run.json alone contradicts itself."""
    own = [sha256 for role, sha256 in record.sources.items() if role.startswith("method:")]
    said = record.method_source_sha256
    if own and said and said not in own:
        yield f"method_source_sha256 is {shown(said)} in run.json, and {shown(own[0])} among its sources"
    for name in ("partition_sha256", "data_sha256", "method_source_sha256"):
        sha256 = document.get(name)
        if sha256 is not None and not (len(str(sha256)) == SHA256_LENGTH and HEXADECIMAL.issuperset(str(sha256))):
            yield f"{name} is {shown(sha256)} in run.json, which is no SHA-256"
    may_have_one = record.status != "finished" or record.scenario.get("enroll")  # why newcomers are not enrolled
    wrong = not may_have_one if record.reason else record.status != "finished"
    if wrong and record.status in FINAL:
        yield f"reason is {shown(record.reason)} in run.json of a run that is {record.status}"
    if record.status == "finished" and record.moment not in record.summary:
        yield f"official_moment is {shown(record.moment)} in run.json, which has no scores of it"
    if record.status == "finished" and document.get("visits", record.visits) != record.visits:
        yield f"visits is {shown(document['visits'])} in run.json; the scenario's are {record.visits}"
    share = record.data_facts.get("validation_share")
    if share is not None and not 0 <= share <= 1:
        yield f"data_facts.validation_share is {shown(share)} in run.json, which is no share"


def check_picks(history: Sheet, record: Record, document: Mapping[str, Any]) -> Iterator[str]:
    """``best`` is the first of the best on validation among the last ``candidates`` evaluations; ``last`` the last."""
    visits = history.counts("visits")
    metric = record.primary if record.primary in history else PRIMARY
    rounds = history.counts("round")
    if "rounds" in document and len(rounds) and document["rounds"] != rounds[-1] and record.status == "finished":
        yield f"rounds is {shown(document['rounds'])} in run.json and {rounds[-1]} at the end of history.csv"
    for moment, picked in record.summary.items():
        rows = history.evaluations.get((moment, "validation"), np.empty(0, int))
        if not len(rows):
            yield f"history.csv lacks {shown(moment)}"
            continue
        last, best = picked.last, picked.best
        if last and "visits" in last and last["visits"] != visits[rows[-1]]:
            yield f"{moment}.last.visits is {shown(last['visits'])} in run.json; the last are {visits[rows[-1]]}"
        counted = {scores["candidates"] for scores in (best, last) if "candidates" in scores}
        if len(counted) > 1:
            yield f"{moment}.candidates is {' and '.join(map(shown, sorted(counted, key=str)))} in run.json"
        candidates = next(iter(counted), None)
        if candidates is not None and not (type(candidates) is int and 1 <= candidates <= len(rows)):
            yield f"{moment}.candidates is {shown(candidates)} in run.json; history.csv has {len(rows)} evaluations"
        elif candidates is not None and best and "visits" in best:
            own = rows[-candidates:]
            reached = np.nan_to_num(history.figures(metric)[own], nan=-np.inf)
            first = int(own[int(reached.argmax())])
            if best["visits"] != visits[first]:
                yield (
                    f"{history.where(first)}: {moment} reached {written(reached.max())} on validation, more than at "
                    f"{shown(best['visits'])} visits, the best by run.json"
                )


def equal_scores(name: str, scores: Mapping[str, Any], found: Mapping[str, float], source: str) -> Iterator[str]:
    """Scores of run.json that are not what a table gives."""
    for key, figure in found.items():
        if key not in scores:
            continue
        own = scores[key]
        value = np.nan if own is None else float(own)
        if differ(np.asarray(value), figure):
            yield f"{name}.{key} is {shown(own)} in run.json and {written(figure)} by {source}"
