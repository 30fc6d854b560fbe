"""Runs in lock-step: several runs of one process, whose clients train as one batch.

``companies`` says which runs go together, ``strand`` makes of each a thread that runs by turns, at ``meeting`` their
requests become one computation, and ``together`` is their stream of events.
"""
