"""A run to a file: made, read back, compared with the run's own predictions, and only then written."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxd2l import run_folder
from jaxd2l.data import Dataset, Examples
from jaxd2l.export import comparison
from jaxd2l.export.comparison import Comparison, compare_outputs, examples_of
from jaxd2l.export.onnx import Session, onnx_model, require_onnx
from jaxd2l.export.program import load_program, prediction_program, require_flatbuffers
from jaxd2l.export.training import compare_updates, training_of, training_program
from jaxd2l.interop import safetensors_file
from jaxd2l.interop.torch import from_torch, serialize_torch
from jaxd2l.machine.disk import write_together
from jaxd2l.prediction import Predictor, TrainedRun
from jaxd2l.train.program import bind

FORMATS = ("stablehlo", "onnx", "safetensors", "torch")
_PROGRAMS = ("stablehlo", "onnx")
WHAT = ("predict", "train-step")
_UPDATED = 16  # examples of the one update that is compared


class Exported(NamedTuple):
    """What was written.

    Attributes:
        files: by what they are: "program", "weights" or, of a training step, also "state".
        comparison: with the run itself.
        inputs: shapes and types of a program's, such as "uint8[b,28,28,1]", of a training step those after the state;
            () of weights alone.
        outputs: likewise, of a prediction.
        epoch: after which the weights were taken, see `jaxd2l.run_folder.Chosen`.
        place: the file or folder of the run that they were read from.
    """

    files: dict[str, Path]
    comparison: Comparison
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    epoch: int | None = None
    place: str = ""


def state_file(path: Path) -> Path:
    """Where the state lies that a training step begins with: beside its program."""
    return path.with_name(f"{path.stem}.state.safetensors")


def export_run(
    run: TrainedRun,
    to: str,
    path: Path,
    *,
    weights: str = "last",
    what: str = "predict",
    prepared: bool = False,
    test: Examples | None = None,
    steps: int | None = None,
) -> Exported:
    """Write a run's network, once it is read back and answers as the run does.

    Args:
        run: of `jaxd2l.load_run`.
        to: one of `FORMATS`.
        path: of the file; one that is there is replaced.
        weights: "last", "best" or "ema".
        what: "predict", or for StableHLO "train-step", with the state that it begins with in `state_file(path)`.
        prepared: see `prediction_program`.
        test: the run's test part, of which 100 examples are compared, or all; random ones are where it is None.
        steps: updates an epoch, which a training step with a schedule needs.

    Raises:
        ValueError: unknown words, a missing library, no names in PyTorch for the network, or a program that cannot be
            written for any number of examples.
        DataError: the run's weights cannot be used.
        ExportMismatchError: what was read back answers otherwise; nothing is written then.
        OSError: the file cannot be written; of a training step see `write_all`.
    """
    require_possible(to, what, prepared)
    predictor, origin = run.predictor(weights), run.origin(weights)
    if what == "train-step":
        contents, found = _training_step(run, predictor, path, test, steps, origin.epoch, weights)
    elif to in _PROGRAMS:
        facts = {"epoch": origin.epoch, **facts_of(run, predictor, weights), **_origin(run)}
        contents, found = _prediction(run, predictor, to, path, test, prepared, facts)
    else:
        content = _torch(run, predictor) if to == "torch" else _weights(run, predictor, origin.epoch, weights)
        contents = {path: content}
        found = Exported({"weights": path}, _compare_weights(run, predictor, to, content, test))
    found.comparison.require()
    write_all(contents)
    return found._replace(epoch=origin.epoch, place=origin.place)


def require_possible(to: str, what: str, prepared: bool) -> None:
    """Refuse what there is not, before anything is read or compiled.

    Raises:
        ValueError: see `export_run`.
    """
    if to not in FORMATS or what not in WHAT:
        raise ValueError(f"export to one of {', '.join(FORMATS)}, {' or '.join(WHAT)}; got {to!r}, {what!r}")
    if to not in _PROGRAMS and (what != "predict" or prepared):
        raise ValueError(f"{to} holds weights and no program; --what and --prepared are for stablehlo")
    if to == "onnx" and what != "predict":
        raise ValueError("a training step is written as stablehlo; onnx holds predictions")
    if what == "train-step" and prepared:
        raise ValueError("a training step prepares its stored examples itself; --prepared is for predictions")
    if to == "stablehlo":
        require_flatbuffers()
    if to == "onnx":
        require_onnx()


def _prediction(
    run: TrainedRun,
    predictor: Predictor,
    to: str,
    path: Path,
    test: Examples | None,
    prepared: bool,
    facts: dict[str, Any],
) -> tuple[dict[Path, bytes], Exported]:
    if to == "onnx":
        content = onnx_model(predictor, prepared=prepared, facts=facts)
        call: Any = Session(content)
        share, inputs, outputs = comparison.tolerance(run.recipe.precision, cpu=1e-5), call.inputs, call.outputs
    else:
        content = prediction_program(predictor, prepared=prepared)
        program = load_program(content)
        call, share = jax.jit(program.call), comparison.tolerance(run.recipe.precision)
        inputs, outputs = _described(program)
    x = examples_of(run, test).x
    prepare = jax.jit(lambda x: predictor.recipe.prepare()(x).astype(np.float32)) if prepared else np.asarray
    size = predictor.batch_size  # which leaves a smaller batch at the end
    parts = [np.asarray(call(np.asarray(prepare(x[first : first + size])))) for first in range(0, len(x), size)]
    found = compare_outputs(predictor.outputs(x), np.concatenate(parts), share, test is None)
    return {path: content}, Exported({"program": path}, found, inputs, outputs)


def _training_step(
    run: TrainedRun,
    predictor: Predictor,
    path: Path,
    test: Examples | None,
    steps: int | None,
    epoch: int | None,
    weights: str,
) -> tuple[dict[Path, bytes], Exported]:
    training = training_of(predictor, steps)
    pieces = run.recipe.accumulate
    examples = examples_of(run, test, pieces * max(2, _UPDATED // pieces), again=True)
    content = training_program(training, *(jax.ShapeDtypeStruct(a.shape, a.dtype) for a in examples))
    program = load_program(content)
    compared = compare_updates(training, program, examples, test is None)
    compared = compared if test is None else compared._replace(examples=min(compared.examples, len(test.x)))
    inputs, _ = _described(program)  # state and tally have names instead
    state = run_folder.pack_weights(training.named(), epoch, facts_of(run, predictor, weights))
    files = {"program": path, "state": state_file(path)}
    return {state_file(path): state, path: content}, Exported(files, compared, inputs[-4:])


def _described(program: jax.export.Exported) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(a.str_short() for a in avals) for avals in (program.in_avals, program.out_avals))


def _weights(run: TrainedRun, predictor: Predictor, epoch: int | None, weights: str) -> bytes:
    named = run_folder.named_weights(predictor.variables["params"], predictor.variables["batch_stats"])
    return run_folder.pack_weights(named, epoch, facts_of(run, predictor, weights))


def _torch(run: TrainedRun, predictor: Predictor) -> bytes:
    return serialize_torch(
        run.recipe.model, predictor.variables["params"], predictor.variables["batch_stats"], run.input_shape
    )


def _compare_weights(
    run: TrainedRun, predictor: Predictor, to: str, content: bytes, test: Examples | None
) -> Comparison:
    x = examples_of(run, test).x
    own = predictor.outputs(x)
    if to == "torch":
        trees = from_torch(run.recipe.model, safetensors_file.parse(content)[0], run.input_shape)
    else:
        params, batch_stats = predictor.variables["params"], predictor.variables["batch_stats"]
        tensors, _ = run_folder.parse_weights(content, "the export")
        trees = run_folder.fit_weights(tensors, params, batch_stats, "the export")
    found = predictor.with_weights(*trees).outputs(x)
    return compare_outputs(own, found, comparison.tolerance(run.recipe.precision), test is None)


def facts_of(run: TrainedRun, predictor: Predictor, weights: str) -> dict[str, Any]:
    """What the header of a file of ours says besides the arrays, as plain values."""
    statistics = run.recipe.statistics
    return {
        "recipe": run.recipe.name,
        "network": repr(run.recipe.model),
        "weights": weights,
        "classes": list(run.classes),
        "input": [str(predictor.input_dtype), *predictor.input_shape],
        "image_size": run.recipe.settings()["image_size"],
        "statistics": None if statistics is None else statistics.plain(),
    }


def _origin(run: TrainedRun) -> dict[str, Any]:
    """Where weights come from, as plain values."""
    data = run.config.get("data", {})
    return {"seed": run.config.get("seed"), "data": {name: data.get(name) for name in ("name", "sha256")}}


def steps_of(run: TrainedRun, data: Dataset | None = None) -> int | None:
    """Updates an epoch, by which a schedule is laid out; None where the learning rate follows none.

    Args:
        run: what is exported.
        data: that it was trained on; opened where None.

    Raises:
        DataError, ValueError: the run's data, of which it depends, cannot be had.
    """
    if not run.recipe.follows_a_schedule:
        return None
    return bind(run.recipe, run.data() if data is None else data).train_steps


def write_all(contents: dict[Path, bytes]) -> None:
    """All files or none, see `jaxd2l.machine.disk.write_together`; through a symbolic link, to where it leads.

    Raises:
        OSError: one cannot be written.
    """
    write_together({path.resolve(): content for path, content in contents.items()})
