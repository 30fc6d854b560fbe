"""The suites that ship with pfl-bench: one TOML file each."""
