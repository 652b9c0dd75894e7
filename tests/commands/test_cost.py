"""`jaxd2l cost`: the answers as a table and as one JSON object, and what `train` says when memory runs short."""

import json
from xml.etree import ElementTree

import jax
import matplotlib as mpl
import pytest

from jaxd2l.cli import main
from jaxd2l.cli.options import memory
from jaxd2l.cost import measured
from jaxd2l.cost.budget import advice, foreseen_shortage, gib, ran_out
from jaxd2l.data import shapes
from jaxd2l.recipes import RECIPES

pytestmark = pytest.mark.usefixtures("unoptimised")

PROMISED = {
    *("recipe", "parameters", "macs", "forward_flops", "step_flops", "predict_bytes", "train_bytes", "layers"),
}


def answer(capsys, *arguments):
    assert main(["cost", *arguments, "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    return json.loads(lines[-1]), lines[:-1]


@pytest.mark.slow
def test_one_recipe_answers_all_four_questions(capsys):
    found, lines = answer(capsys, "lenet", "--batch-size", "8", "32")
    assert set(found) >= PROMISED
    assert (found["recipe"], found["parameters"], found["macs"], found["batch_size"]) == ("lenet", 61_706, 416_520, 8)
    assert [one["batch_size"] for one in found["batches"]] == [8, 32]
    assert found["train_bytes"] == sum(found["train_memory"].values()) > found["predict_bytes"]
    assert sum(layer["parameters"] for layer in found["layers"]) == 61_706
    assert any(line.split()[:2] == ["Conv_1", "10x10x16"] and line.endswith("14x14") for line in lines)
    assert any(line.split() == ["batch", "8", "batch", "32"] for line in lines)


@pytest.mark.slow
def test_what_if_is_shown_beside_the_recipe_as_it_is(capsys):
    found, lines = answer(capsys, "lenet_bn", "--remat", "--accumulate", "2", "--precision", "bfloat16")
    assert (found["remat"], found["accumulate"], found["precision"]) == (True, 2, "bfloat16")
    assert found["as_it_is"]["remat"] is False
    assert found["step_flops"] > found["as_it_is"]["step_flops"]
    assert found["train_bytes"] < found["as_it_is"]["train_bytes"]
    assert any("as it is" in line and "batch 256, remat, 2 pieces, bfloat16" in line for line in lines)


@pytest.mark.slow
def test_memory_and_rate_give_the_largest_batch_and_the_time(capsys):
    found, lines = answer(capsys, "mlp", "--memory", "1GiB", "--rate", "1e9")
    assert found["memory_bytes"] == 2**30
    assert found["largest_batch"] == 60_000
    assert found["epoch_seconds"] == pytest.approx(235 * found["step_flops"] / 1e9)
    assert "largest batch that trains in 1 GiB: 60000" in lines


@pytest.mark.slow
def test_measure_sets_the_clock_beside_the_count(capsys, ticking):
    ticking(measured)
    found, _ = answer(capsys, "softmax", "--batch-size", "32", "--measure")
    assert found["measured"]["step_seconds"] == 1
    assert found["measured"]["flops_per_second"] == found["step_flops"]
    assert found["measured"]["epoch_seconds"] == pytest.approx(1875)


@pytest.mark.slow
def test_all_recipes_in_one_table_and_one_plot(capsys, tmp_path, monkeypatch):
    few = {name: RECIPES[name] for name in ("linear", "softmax", "lenet")}
    monkeypatch.setattr("jaxd2l.commands.cost.RECIPES", few)
    monkeypatch.setitem(mpl.rcParams, "svg.fonttype", "none")  # text stays text
    found, lines = answer(capsys, "--all", "--plot", str(tmp_path / "cost.svg"))
    assert [one["recipe"] for one in found["recipes"]] == list(few)
    assert [line.split()[0] for line in lines[1:4]] == list(few)
    drawn = ElementTree.parse(tmp_path / "cost.svg")
    written = {text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert {"softmax", "lenet"} <= written
    assert "linear" not in written, "without a published accuracy it has no place"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name one recipe, or give --all"),
        (["lenet", "--all"], "name one recipe, or give --all"),
        (["lenett"], "did you mean lenet"),
        (["lenet", "--plot", "x.svg"], "--plot draws all recipes"),
        (["--all", "--memory", "1GiB"], "--memory takes one recipe"),
        (["--all", "--rate", "1e9"], "--rate takes one recipe"),
        (["--all", "--measure"], "--measure takes one recipe"),
        (["--all", "--channels", "3"], "--channels"),
        (["--all", "--batch-size", "8", "16"], "--all shows one batch size, got 8 16"),
        (["--all", "--plot", "x.txt"], "no picture is drawn as .txt"),
        (["lenet", "--accumulate", "0"], "accumulate"),
        (["linear", "--rate", "1e-320"], "the rate must be"),
        (["alexnet", "--image-size", "28"], "h >= 65"),
        (["lenet", "--accumulate", "3"], "accumulate must divide the batch size of 256, got 3"),
        (["lenet", "--rate", "-1"], "rate must be a positive number"),
    ],
)
def test_wrong_use_is_one_line(capsys, arguments, message):
    assert main(["cost", *arguments]) == 2
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 1
    assert message in error[0]


def without_latex(*_, **__):
    raise RuntimeError("no LaTeX")


def test_a_picture_that_cannot_be_drawn_or_written_is_refused_before_anything_is_counted(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("jaxd2l.commands.cost.cost", lambda *_: pytest.fail("counted"))
    assert main(["cost", "--all", "--plot", str(tmp_path / "none" / "x.svg")]) == 74
    assert "no such folder for the picture" in capsys.readouterr().err
    (tmp_path / "x.png").mkdir()  # what a name without an ending comes to
    assert main(["cost", "--all", "--plot", str(tmp_path / "x")]) == 74
    assert "x.png" in capsys.readouterr().err
    with monkeypatch.context() as patch:
        patch.setattr("matplotlib.figure.Figure.savefig", without_latex)
        assert main(["cost", "--all", "--plot", str(tmp_path / "x.pgf")]) == 2
    assert "no picture is drawn as .pgf here: no LaTeX" in capsys.readouterr().err
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["cost", "--all", "--plot", str(tmp_path / "x.svg")]) == 2
    assert "pip install 'jaxd2l[plot]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [("8GiB", 8 * 2**30), ("500M", 500 * 2**20), ("1.5 kib", 1536), ("1e9", 10**9), ("64B", 64), ("2TB", 2 * 2**40)],
)
def test_amounts_of_memory(text, bytes_):
    assert memory(text) == bytes_


@pytest.mark.parametrize("text", ["8 apples", "", "-1GiB", "0", "1.2.3G", "1e400"])
def test_other_amounts_are_refused(text):
    with pytest.raises(Exception, match="such as 8GiB or 500MiB"):
        memory(text)


def test_amounts_are_written_with_three_digits():
    assert [gib(n) for n in (7, 1023, 1024, 1_020_000, 2**30)] == ["7 B", "0.999 KiB", "1 KiB", "996 KiB", "1 GiB"]


@pytest.mark.slow
def test_a_shortage_is_foreseen_with_the_batches_that_fit():
    recipe = RECIPES["mlp"]
    data = shapes(recipe.dataset)
    assert foreseen_shortage(recipe, data, 2**40) is None
    assert foreseen_shortage(recipe, data, 60 * 2**20) is None  # less than the rough bound, more than needed
    line = foreseen_shortage(recipe, data, 113 * 2**19)
    assert "batch size 256 needs about 56.6 MiB, there is" in line
    assert "there is 56.5 MiB" in line
    assert "--batch-size " in line
    assert "no batch fits" in advice(recipe, data, 2**20)


@pytest.mark.slow
def test_train_warns_and_goes_on_until_the_compiled_program_is_known(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("jaxd2l.commands.asked.devices.free_bytes", lambda: 40 * 2**20)
    small = ["--limit-train", "64", "--limit-test", "32", "--epochs", "1", "--batch-size", "64"]
    assert main(["train", "softmax", "--no-report", *small, "--out", str(tmp_path / "run"), "--quiet"]) == 0
    assert capsys.readouterr().err == ""  # 64 examples are few
    free = iter([2**16, 2**40])  # before and after compiling
    monkeypatch.setattr("jaxd2l.commands.asked.devices.free_bytes", lambda: next(free))
    assert main(["train", "softmax", "--no-report", *small, "--out", str(tmp_path / "other"), "--quiet"]) == 0
    error = capsys.readouterr().err
    assert error.startswith("warning: batch size 64 needs about")
    assert len(error.splitlines()) == 1


@pytest.mark.slow
def test_memory_that_runs_out_ends_in_one_line_with_the_batch_that_fits(capsys, monkeypatch, tmp_path):
    def exhausted(*args, **kwargs):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 123 bytes.")

    monkeypatch.setattr("jaxd2l.run_folder.fit", exhausted)
    small = ["--limit-train", "64", "--limit-test", "32", "--epochs", "1", "--batch-size", "64"]
    assert main(["train", "softmax", "--no-report", *small, "--out", str(tmp_path / "run"), "--quiet"]) == 2
    error = capsys.readouterr().err
    assert "memory ran out at batch size 64; --batch-size " in error
    assert len(error.splitlines()) == 1


def test_other_errors_of_the_runtime_are_no_shortage():
    assert not ran_out(jax.errors.JaxRuntimeError("INTERNAL: something else"))
    assert not ran_out(ValueError("RESOURCE_EXHAUSTED"))


@pytest.mark.slow
def test_remat_and_accumulate_are_options_of_train(capsys, tmp_path):
    small = ["--limit-train", "64", "--limit-test", "32", "--epochs", "1", "--batch-size", "32", "--json", "--quiet"]
    losses = []
    for options in ([], ["--remat", "--accumulate", "4"]):
        assert (
            main(["train", "mlp", "--no-report", *small, *options, "--out", str(tmp_path / f"run{len(losses)}")]) == 0
        )
        losses.append(json.loads(capsys.readouterr().out.splitlines()[-1])["train_loss"])
    config = json.loads((tmp_path / "run1" / "config.json").read_text(encoding="utf-8"))
    assert (config["remat"], config["accumulate"]) == (True, 4)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)  # float32 sums in another order
