"""How layers are computed, not what they are: windows, the precision of sums, and what makes a CPU fast."""
