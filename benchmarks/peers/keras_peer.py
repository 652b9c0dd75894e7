"""Peer: Keras 3 on JAX, `fit` over the same rows in the same order; the book's sequential networks alone."""

import os
import sys
import time

os.environ["KERAS_BACKEND"] = "jax"
import keras
import numpy as np
from keras import layers
from protocol import Task, Trainer, serve


def network(recipe):
    """The recipe as `keras.Sequential`, and the PyTorch names of its layers with weights in order."""
    if recipe == "softmax":
        return [layers.Flatten(), layers.Dense(10)], ["1"]
    if recipe == "mlp":
        return [layers.Flatten(), layers.Dense(256, "relu"), layers.Dense(10)], ["1", "3"]
    if recipe in ("lenet", "lenet_relu"):
        act = "sigmoid" if recipe == "lenet" else "relu"
        body = [layers.Conv2D(6, 5, padding="same", activation=act), layers.AveragePooling2D(2)]
        body += [layers.Conv2D(16, 5, activation=act), layers.AveragePooling2D(2), layers.Flatten()]
        head = [layers.Dense(120, act), layers.Dense(84, act), layers.Dense(10)]
        return body + head, ["0", "3", "7", "9", "11"]
    raise SystemExit(f"no Keras network is written for {recipe}")


def main():
    """Build, load the task's weights, compile and serve."""
    began = time.perf_counter()
    task = Task(sys.argv[1])
    parts, names = network(task.recipe)
    model = keras.Sequential([keras.Input((28, 28, 1)), *parts])
    first_dense = True
    for layer, name in zip([p for p in parts if p.weights], names, strict=True):
        kernel, bias = task.weights[f"{name}.weight"], task.weights[f"{name}.bias"]
        if kernel.ndim == 4:
            kernel, channels = kernel.transpose(2, 3, 1, 0), kernel.shape[0]
        else:
            if first_dense and task.recipe.startswith("lenet"):
                side = round((kernel.shape[1] // channels) ** 0.5)
                kernel = kernel.reshape(-1, channels, side, side).transpose(0, 2, 3, 1).reshape(kernel.shape)
            first_dense, kernel = False, kernel.T
        layer.set_weights([kernel, bias])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(task.learning_rate), loss)
    x, batch = task.x.astype(np.float32) / 255, task.rows.shape[2]
    first = task.rows[0, 0]
    first_loss = model.evaluate(x[first], task.y[first], batch_size=batch, verbose=0)
    kept = model.get_weights()
    compiling = time.perf_counter()
    model.fit(x[first], task.y[first], batch_size=batch, verbose=0)
    compile_seconds = time.perf_counter() - compiling
    model.set_weights(kept)

    def train_round(i):
        rows = task.rows[i].reshape(-1)
        history = model.fit(x[rows], task.y[rows], batch_size=batch, shuffle=False, verbose=0)
        return history.history["loss"][0]

    trainers = {"float32": Trainer(first_loss, train_round, compile_seconds)}
    serve(began, model.count_params(), trainers, {"keras": keras.__version__})


if __name__ == "__main__":
    main()
