"""Many runs: where, when, again."""
