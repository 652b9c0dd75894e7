"""What takes a network from elsewhere and away: weights and programs."""
