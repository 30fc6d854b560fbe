"""What is asked: scenarios, suites, runs and their identities. Imports neither torch nor ray."""
