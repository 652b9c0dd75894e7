"""What was asked for on the command line, as a recipe and its data."""
