"""From a ledger to tables. Works on a results frame alone and imports neither torch nor ray."""
