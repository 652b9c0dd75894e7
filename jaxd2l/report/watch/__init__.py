"""What watches a run while it goes: animated curves in a notebook, events for TensorBoard."""
