"""Linear regression from scratch, by layer and in closed form: weights, bias and loss of each epoch."""

import numpy as np

from jaxd2l.experiments.linear_regression import compare

result = compare()
for name in ("scratch", "layer", "closed_form"):
    line = getattr(result, name)
    print(f"{name:12} w = {np.asarray(line.weights[:, 0]).round(4)}  b = {float(line.bias[0]):.4f}")
print("loss of the epochs, from scratch:", "  ".join(f"{loss:.6f}" for loss in result.scratch_loss))
print("                     by layer   :", "  ".join(f"{loss:.6f}" for loss in result.layer_loss))
print(f"loss of the closed form: {result.noise_floor:.6f}   published: .042790  .000162  .000051")
