"""Train a recipe and keep the run in a folder, or go on with the run that the folder holds."""

import dataclasses
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxd2l import train
from jaxd2l.data import Dataset
from jaxd2l.machine.disk import write_json
from jaxd2l.run_folder import call
from jaxd2l.run_folder.best import is_finished
from jaxd2l.run_folder.files import CONFIG
from jaxd2l.run_folder.initial import Fit, fit_to_network, kept_source, read_source, refuse_other_source
from jaxd2l.run_folder.initial.source import INIT_FROM, From
from jaxd2l.run_folder.layout import begun, check_free, create, finished_epochs, read_config, require_shared
from jaxd2l.run_folder.load import load_run
from jaxd2l.run_folder.lock import FolderInUseError, FolderLock
from jaxd2l.run_folder.metrics import write_tested
from jaxd2l.run_folder.provenance import environment, note_start
from jaxd2l.run_folder.settings import WHERE, configuration, fingerprint, refuse_other_run
from jaxd2l.run_folder.writer import RunWriter, require_pace
from jaxd2l.train import DivergenceError, EpochResult, Program, Progress, Recipe, Run, TrainState
from jaxd2l.train.check_data import check_run
from jaxd2l.train.evaluation import CHUNK_SECONDS
from jaxd2l.train.loop import beginning
from jaxd2l.train.mesh import agreed, agreed_text, data_mesh, meet, readable, require_same, writes_files
from jaxd2l.train.program import initial_state
from jaxd2l.train.program.same import require_same_program
from jaxd2l.wording import counted


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr, flush=True)


def fit(
    recipe: Recipe,
    data: Dataset,
    seed: int = 0,
    *,
    run_dir: Path | str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    init_from: From | None = None,
    init_weights: str | None = None,
    checkpoint_every: float = 30.0,
    keep: int = 2,
    settings: Mapping[str, Any] | None = None,
    stop: call.Stop = lambda: None,
    warn: Callable[[str], None] = _warn,
    on_start: Callable[[Progress | None], None] | None = None,
    on_epoch: Callable[[EpochResult, TrainState], None] | None = None,
    on_chunk: Callable[[Progress], None] | None = None,
    program: Program | None = None,
    mesh: Mesh | Iterable[Any] | None = None,
    stream: bool = False,
    chunk_seconds: float = CHUNK_SECONDS,
    **options: Any,
) -> Run:
    """Train `recipe` on `data`; with `run_dir`, keep everything about the run there.

    It is `jaxd2l.train.fit` around which a folder is kept. A run that is stopped at any moment goes on with
    `resume=True` and ends bit for bit as an unbroken one, and so does `jaxd2l train --out RUN_DIR --resume`:

        run = jaxd2l.fit(recipe, data, run_dir="runs/mine", resume=True)
        same = jaxd2l.load_run("runs/mine")

    A run that `recipe.early_stop` ended is finished: going on with it trains nothing.

    Args:
        recipe: what to train and how.
        data: training and test examples, and validation examples where epochs are not to be judged by the test part;
            `jaxd2l.data.hold_out` takes them from the training part.
        seed: an integer in [0, 2**32).
        run_dir: the run's folder, made where it is not there; None keeps nothing.
        resume: go on with the run that the folder holds, or begin it there. Its settings have to be these; a larger
            `recipe.epochs` makes it longer, unless the schedule is laid out for the number of epochs.
        overwrite: replace the run that the folder holds.
        init_from: begin with the weights of this run's folder or `.safetensors` file, or with `(params, batch_stats)`,
            instead of drawn ones. A last layer of another number of outputs is drawn from the seed. The folder keeps
            path and digest; a run that goes on from a checkpoint does not need them.
        init_weights: which of that folder's: "last" (where None), "best" or "ema".
        checkpoint_every: save inside an epoch too, this often, in seconds; at the end of an epoch once 5 s have passed.
        keep: newest checkpoints that stay, beside the best.
        settings: further entries of `config.json` that have to be the same when it goes on; plain values.
        stop: asked after each piece of work; the exception it answers with ends the run once it is saved, or at once
            where nothing is kept.
        warn: called with one line for what is odd but no reason to stop, such as a damaged checkpoint.
        on_start: called once before the first update, with where the run goes on, None at its beginning.
        on_epoch: as in `jaxd2l.train.fit`, after the epoch is on disk.
        on_chunk: as in `jaxd2l.train.fit`, after what is to be kept of the piece is.
        program: as in `jaxd2l.train.fit`.
        mesh: as in `jaxd2l.train.fit`. A run goes on on other devices than it began with; its last bits differ then.
            Over several processes all call this, the folder is where all of them see it, the first writes it, and
            `stop` answers the same in all.
        stream: as in `jaxd2l.train.fit`; a run goes on with or without it, to the same bits.
        chunk_seconds: as in `jaxd2l.train.fit`.
        **options: of `jaxd2l.train.fit`; with `run_dir` the best weights are those of the folder.

    Returns:
        The finished run. Where the folder holds it already nothing is trained, and the state has no optimizer and
        a `step` of 0.

    Raises:
        DivergenceError: the loss became non-finite; the folder keeps the last finite weights.
        ValueError: the folder holds another run, or the settings do not fit.
        DataError: the data cannot be trained on, the weights to begin with do not fit, or what the folder holds is
            damaged.
        OSError: the folder cannot be read or written, or another process writes there.
    """
    call.refuse_init_weights(init_from, init_weights, options)
    if run_dir is None:
        call.refuse_without_folder(resume, overwrite, settings)
        if init_from is not None:
            begin_with = fit_to_network(read_source(init_from, init_weights), recipe, data)
            program = program or train.compile_program(recipe, check_run(recipe, data), mesh=mesh, stream=stream)
            options["weights"] = begin_with.weights(readable(_initial(program, recipe, seed)))
        tests = data.validation is not None and options.get("with_test", True)
        watched = call.watching(stop, on_chunk, recipe, tests=tests)
        options |= {"on_epoch": on_epoch, "on_chunk": watched, "stream": stream, "chunk_seconds": chunk_seconds}
        if on_start is not None:
            on_start(options.get("start"))
        return train.fit(recipe, data, seed, program=program, mesh=mesh, **options)
    if resume and overwrite:
        raise ValueError("resume keeps the run that overwrite would replace; give one of them")
    train.run_keys(seed)
    require_pace(checkpoint_every, keep)
    data = check_run(recipe, data)
    call.refuse_options(options, data)
    if program is not None:
        require_same_program(program, recipe, data, mesh, stream)
    config = configuration(recipe, seed, data, **call.further_entries(settings))
    for name, value in config.items():
        call.require_plain(name, value)
    begun_with: Fit | None = None
    together = data_mesh(mesh) if program is None else program.mesh
    folder, writes = Path(agreed_text(str(run_dir), together)), writes_files(together)
    require_same({**{n: str(v) for n, v in config.items()}, "resume": str(resume)}, together)
    with ExitStack() as stack:
        going_on = bool(agreed(resume and begun(folder), together))
        if not going_on and init_from is not None:
            source = read_source(init_from, init_weights)
            begun_with = fit_to_network(source, recipe, data)
            config[INIT_FROM] = source.record()
        if going_on:
            stack.enter_context(FolderLock(folder) if writes else nullcontext())
            found = read_config(folder)
            refuse_other_run(folder, found, config, recipe)
            if init_from is not None:
                refuse_other_source(folder, found.get(INIT_FROM), init_from, init_weights)
            config |= {name: found[name] for name in WHERE if name in found and name not in config}
            done, _ = finished_epochs(folder)
            if recipe.epochs < done:
                raise ValueError(
                    f"{folder} has finished {counted(done, 'epoch')} already; epochs must be at least that"
                )
            if agreed(is_finished(folder, recipe, data), together):
                if writes and found.get("epochs") != recipe.epochs:
                    write_json(folder / CONFIG, config)
                return load_run(folder, recipe).as_run()
        elif writes:
            check_free(folder, overwrite or resume)
        compiled_here = program is None
        program = program or train.compile_program(recipe, data, mesh=mesh, stream=stream)
        meet(together, "nobody reads what the folder held before")
        if not going_on and writes:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FolderLock(folder))
            if resume and begun(folder):  # while this one was being compiled
                raise FolderInUseError(f"another run began in {folder} meanwhile; give the same command again")
            create(folder, overwrite or resume)
        if writes and not going_on:
            write_json(folder / CONFIG, config)
        require_shared(folder, together)
        marks = fingerprint(config, dict(data.sha256))
        writer = stack.enter_context(
            RunWriter(
                folder,
                recipe.epochs,
                marks,
                stop,
                warn,
                every=checkpoint_every,
                keep=keep,
                tests=data.validation is not None,
                mesh=together,
            )
        )
        start = writer.restore(beginning(program, _initial(program, recipe, seed))) if going_on else None
        if writes and going_on:
            write_json(folder / CONFIG, config)
        if start is not None and INIT_FROM in config:
            options["weights"] = jax.tree.map(np.array, (start.state.params, start.state.batch_stats))
        elif INIT_FROM in config:
            if begun_with is None:
                given = init_from if isinstance(init_from, tuple) else None
                source = kept_source(config[INIT_FROM], folder) if given is None else read_source(given)
                begun_with = fit_to_network(source, recipe, data)
            options["weights"] = begun_with.weights(readable(_initial(program, recipe, seed)))
        if writes:
            note_start(folder, environment(data, program.mesh), warn)
        if on_start is not None:
            on_start(start)

        def kept(result: EpochResult, state: TrainState) -> None:
            writer.epoch(result, state)
            if on_epoch is not None:
                on_epoch(result, state)

        def watched(now: Progress) -> None:
            writer.chunk(now)
            if on_chunk is not None:
                on_chunk(now)

        try:
            done_run = train.fit(
                recipe,
                data,
                seed,
                program=program,
                mesh=mesh,
                stream=stream,
                start=start,
                on_epoch=kept,
                on_chunk=watched,
                best_weights=lambda: load_run(folder, recipe).weights("best"),
                chunk_seconds=min(chunk_seconds, checkpoint_every),
                **options,
            )
        except DivergenceError as error:
            writer.diverged(error)
            error.args = (f"{error} (--clip-norm 1); the last finite weights are in {folder}",)
            raise
        writer.close()
        if done_run.tested and writes:
            write_tested(folder, done_run.tested)
        return dataclasses.replace(done_run, compile_seconds=program.compile_seconds if compiled_here else 0.0)


def _initial(program: Program, recipe: Recipe, seed: int) -> TrainState:
    return initial_state(program, seed, recipe.learning_rate, recipe.weight_decay)
