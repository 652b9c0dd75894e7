"""What can be typed after the commands that take a network from elsewhere and away."""
