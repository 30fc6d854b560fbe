"""What happens on one client: its model, training requests, back-ends. Imports nothing of the engine."""
