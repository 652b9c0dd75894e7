"""What was asked for on the command line, as a recipe and its data, and where compiled programs of it are kept."""
