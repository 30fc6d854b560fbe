"""One run: a method, its federation of clients, and what is evaluated when."""
