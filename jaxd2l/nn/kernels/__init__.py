"""How a CPU is made fast: convolutions and products by ways of our own, not what a layer is."""
