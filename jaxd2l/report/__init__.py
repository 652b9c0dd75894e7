"""Reports: a run on the terminal, and finished runs as tables."""
