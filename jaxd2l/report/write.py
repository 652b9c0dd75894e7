"""Reports written: one function for each kind of result, from its folder to a page with its charts beside it.

A caller whose run has succeeded goes through `attempt`, which raises nothing.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxd2l import run_folder
from jaxd2l.cost import cost
from jaxd2l.data import DataError, Dataset, Examples
from jaxd2l.experiments.houses import Outcome
from jaxd2l.machine.disk import write_named
from jaxd2l.recipes import find
from jaxd2l.report.chart.drawing import Drawing
from jaxd2l.report.chart.png import png
from jaxd2l.report.chart.svg import svg
from jaxd2l.report.house_record import houses_arguments, houses_record
from jaxd2l.report.inspection import inspect
from jaxd2l.report.page.comparison import comparison_page
from jaxd2l.report.page.curves import beside, of_run
from jaxd2l.report.page.houses import houses_page
from jaxd2l.report.page.reproduce import reproduce_page
from jaxd2l.report.page.run import Known, run_page
from jaxd2l.report.page.sweep import sweep_page
from jaxd2l.report.record import Record, read_record
from jaxd2l.train import Recipe
from jaxd2l.train.check_data import check_dataset

SWEEP, RESULTS, HOUSES = "sweep.json", "results.json", "houses.json"


def _houses(record: dict[str, Any]) -> tuple[str, tuple[Drawing, ...]]:
    outcomes, truth = houses_arguments(record)
    return houses_page(*outcomes, **truth), ()


_PAGES: dict[str, tuple[str, Callable[[dict[str, Any]], tuple[str, Sequence[Drawing]]]]] = {
    SWEEP: ("sweep", sweep_page),
    RESULTS: ("reproduce", reproduce_page),
    HOUSES: ("houses", _houses),
}


def attempt(write: Callable[[], Path]) -> tuple[Path | None, str]:
    """Write a report at the end of a run that succeeded: whatever goes wrong becomes words.

    Returns:
        The page and "", or None and a sentence for a warning.
    """
    try:
        return write(), ""
    except Exception as error:  # not KeyboardInterrupt: who presses Ctrl-C wants to be heard
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        return None, f"the run is kept, but its report could not be written: {reason}"


def write_run_report(
    run_dir: Path,
    path: Path | None = None,
    *,
    data: Dataset | None = None,
    recipe: Recipe | None = None,
    weights: str = "last",
) -> Path:
    """Write the page of a run with its curves as SVG and PNG beside it.

    Args:
        run_dir: a folder that `jaxd2l train` or `jaxd2l.fit(..., run_dir=...)` wrote, finished or not.
        path: of the page; `run_dir/report.html` by default.
        data: that it was judged on, whole; that of the recipe's name where None.
        recipe: what it was trained with, where that is none of this package.
        weights: "last", "best" or "ema": those that are looked into.

    Returns:
        The page's path.

    Raises:
        DataError: the folder is no run folder, or its configuration is damaged; all other damage is shown in the page.
        OSError: a file cannot be written.
    """
    record = read_record(run_dir)
    known = _known(record, data, recipe, weights)
    drawings = of_run(record, known.recipe.published if known.recipe else ())
    return _written(path or run_dir / run_folder.REPORT, run_page(record, known), drawings)


def _known(record: Record, data: Dataset | None, recipe: Recipe | None, weights: str) -> Known:
    """Everything that takes the network and its data, each part if it can be had."""
    problems: list[str] = []
    try:
        run = run_folder.load_run(record.folder, recipe)
        known = Known(recipe=run.recipe)
    except Exception as error:
        problems.append(f"Only what the folder itself says is shown: its network cannot be had. {_why(error)}")
        return Known(recipe=recipe or _by_name(record.name), problems=tuple(problems))
    try:
        whole = run.data(on_note=lambda note: None) if data is None else data
        known = known._replace(data=_judged_on(check_dataset(run.recipe, whole), run.config.get("limit_test")))
    except Exception as error:
        problems.append(f"Nothing is predicted, because the data cannot be had: {_why(error)}")
    try:
        known = known._replace(cost=cost(run.recipe, known.data))
    except Exception as error:
        problems.append(f"The cost could not be counted: {_why(error)}")
    try:
        if known.data is not None:
            chosen = run_folder.choose_weights(record.folder, weights)
            flops = known.cost.forward_flops if known.cost else None
            found = inspect(run.recipe, *run.fitted(chosen), known.data, flops)
            known = known._replace(inspection=found, weights=_weights(chosen.epoch))
    except FileNotFoundError:
        problems.append("There are no weights yet, so nothing is predicted.")
    except Exception as error:
        problems.append(f"Nothing is predicted, because the weights cannot be used: {_why(error)}")
    return known._replace(problems=tuple(problems))


def _by_name(name: str) -> Recipe | None:
    try:
        return find(name)
    except ValueError:
        return None


def _judged_on(data: Dataset, limit: Any) -> Dataset:
    """The data with the test examples that the run was judged on."""
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= len(data.test.x):
        return data
    return data._replace(test=Examples(np.asarray(data.test.x[:limit]), np.asarray(data.test.y[:limit])))


def _weights(epoch: int | None) -> str:
    if epoch is None:
        return "weights of an unknown epoch"
    return f"the weights after epoch {epoch}" if epoch else "the weights before the first epoch"


def _why(error: Exception) -> str:
    return " ".join(str(error).split())[:400] or type(error).__name__


def write_comparison(run_dirs: Sequence[Path], path: Path) -> Path:
    """Write one page that compares runs, with their curves as SVG and PNG beside it.

    Raises:
        DataError: a folder is no run folder.
        OSError: a file cannot be written.
    """
    page, drawings = comparison_page([read_record(folder) for folder in dict.fromkeys(run_dirs)])
    return _written(path, page, drawings, stem=path.stem)


def write_results_report(out_dir: Path, name: str, path: Path | None = None) -> Path:
    """Write the page of many trainings from what their command wrote, with their curves as SVG and PNG beside it.

    Args:
        out_dir: the command's `--out`.
        name: SWEEP, RESULTS or HOUSES, the file that is in it.
        path: of the page; `out_dir/report.html` by default.

    Raises:
        DataError: the file is damaged or not what the command writes.
        OSError: it cannot be read, or a file not be written.
    """
    command, page_of = _PAGES[name]
    result = _json(out_dir / name)
    try:
        page, drawings = page_of(result)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, IndexError) as error:
        raise DataError(f"{out_dir / name}: not what jaxd2l {command} writes ({error!r}); run it again") from error
    return _written(path or out_dir / run_folder.REPORT, page, drawings)


def write_houses_report(
    path: Path, outcomes: Sequence[Outcome], chosen: Outcome, remarks: Sequence[str] = (), **truth: Any
) -> Path:
    """Write the page of a cross-validation of house prices and, beside it, `houses.json`, which writes it again.

    Args:
        path: of the page.
        outcomes: of every family, and of scikit-learn's models.
        chosen: the one of them that predicts.
        remarks: what was said of the tables.
        **truth: see `houses_page`.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    run_folder.write_json(path.with_name(HOUSES), houses_record(outcomes, chosen, remarks, **truth))
    return _written(path, houses_page(outcomes, chosen, remarks, **truth), ())


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error}); run the command that wrote it again") from error
    if not isinstance(found, dict):
        raise DataError(f"{path}: expected an object, got {type(found).__name__}")
    return found


def _written(path: Path, page: str, drawings: Sequence[Drawing], stem: str = "curves") -> Path:
    """Write a page and, beside it, its charts as pictures; the page last, so that it is the sign of all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if drawings:
        whole = beside(drawings)
        run_folder.write_atomically(path.with_name(f"{stem}.svg"), svg(whole, standalone=True).encode())
        run_folder.write_atomically(path.with_name(f"{stem}.png"), png(whole))
    write_named(path, page.encode())
    return path
