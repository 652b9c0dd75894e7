import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from picture_files import digit_folder

import jaxd2l
from jaxd2l.cli import main
from jaxd2l.commands.asked.recipe import of_another_choice
from jaxd2l.commands.check import going_on

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unoptimised")]
NETWORK = """
import flax.linen as nn
import jax.numpy as jnp
from jaxd2l import Recipe
from flax import nnx
import beside

class Net(nn.Module):
    num_classes: int
    @nn.compact
    def __call__(self, x, deterministic=False):
        x = nn.Dropout(0.1)(x.reshape(len(x), -1), deterministic=deterministic)
        return nn.Dense(self.num_classes)(x)

class Wide(nn.Module):
    width: int
    @nn.compact
    def __call__(self, x):
        return nn.Dense(self.width)(x.reshape(len(x), -1))

class Fails(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
        return jnp.zeros((3, 4)) @ x

class Noisy(nn.Module):
    num_classes: int
    @nn.compact
    def __call__(self, x, *, train):
        x = x.reshape(len(x), -1)
        noise = self.make_rng("noise") if train else None
        return nn.Dense(self.num_classes)(x)

class Counts(Noisy):
    @nn.compact
    def __call__(self, x, *, train):
        self.variable("counts", "n", lambda: jnp.zeros(()))
        return nn.Dense(self.num_classes)(x.reshape(len(x), -1))

class AlwaysDrops(Noisy):
    @nn.compact
    def __call__(self, x):
        return nn.Dropout(0.5, deterministic=False)(nn.Dense(self.num_classes)(x.reshape(len(x), -1)))

class Still(nn.Module):
    @nn.compact
    def __call__(self, x):
        return x.reshape(len(x), -1)[:, :3]

class Pools(Noisy):
    @nn.compact
    def __call__(self, x, *, train):
        return nn.Dense(self.num_classes)(nn.max_pool(x, (9, 9)).reshape(len(x), -1))

two, three = Wide(2), Wide(beside.THREE)
RECIPE = Recipe("tuned", three, "fashion_mnist", learning_rate=0.02, batch_size=6, epochs=2)
OUTSIDE = Recipe("..", three, "fashion_mnist")
class Other:
    pass
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """`digits`, `mynet.py` with a file that it imports, and `run`, a network of it trained on the digits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAXD2L_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        folder = tmp_path_factory.mktemp("place")
        digit_folder(folder / "digits", classes=3, each=8)
        (folder / "mynet.py").write_text(NETWORK, encoding="utf-8")
        (folder / "beside.py").write_text("THREE = 3\n", encoding="utf-8")
        patch.chdir(folder)
        train = ("train", "mynet.py:Net", "--data", "digits", "--batch-size", "6", "--quiet", "--no-report")
        assert main([*train, "--epochs", "2", "--learning-rate", "0.05", "--out", "run"]) == 0
        yield folder


def said(capsys, *arguments):
    """The exit code, and the one line on stderr but for notes."""
    code = main([*map(str, arguments)])
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith(("note:", "warning:"))]
    assert len(lines) == 1, lines
    return code, lines[0]


def config_of(run):
    return json.loads((run / "config.json").read_text(encoding="utf-8"))


def test_a_network_of_ones_own_is_found_again_from_any_working_folder(place, capsys, monkeypatch):
    run = jaxd2l.load_run(place / "run")
    assert run.params["Dense_0"]["kernel"].shape == (64, 3)
    assert config_of(place / "run")["code"]["name"] == f"{place / 'mynet.py'}:Net"
    monkeypatch.chdir("/")
    assert main(["evaluate", str(place / "run"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["test_accuracy"] == run.epochs[-1].test_accuracy
    assert main(["predict", str(place / "run"), str(place / "digits" / "1")]) == 0
    assert main(["report", str(place / "run")]) == 0
    assert "network cannot be had" not in (place / "run/report.html").read_text(encoding="utf-8")


def test_a_kept_configuration_runs_again_and_what_is_typed_wins(place, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    again = ("train", "--config", str(place / "run/config.json"), "--quiet", "--no-report", "--out")
    assert main([*again, str(tmp_path / "same")]) == 0
    for file in ("weights.safetensors", "config.json"):
        assert (tmp_path / "same" / file).read_bytes() == (place / "run" / file).read_bytes()
    assert main([*again, str(tmp_path / "other"), "--epochs", "1", "--split-seed", "4", "--learning-rate", "0.01"]) == 0
    other = config_of(tmp_path / "other")
    assert (other["epochs"], other["own_data"]["split_seed"], other["learning_rate"]) == (1, 4, 0.01)
    assert (other["batch_size"], other["recipe"]) == (6, "Net")


def test_a_run_of_ones_own_network_goes_on_bit_for_bit(place, tmp_path):
    run = tmp_path / "run"
    begin = ("train", "--config", str(place / "run"), "--quiet", "--no-report", "--out", str(run))
    assert main([*begin, "--epochs", "1"]) == 0
    name = f"{place / 'mynet.py'}:Net"
    assert main(["train", name, "--no-report", "--out", str(run), "--resume", "--epochs", "2", "--quiet"]) == 0
    assert (run / "weights.safetensors").read_bytes() == (place / "run/weights.safetensors").read_bytes()


def test_a_recipe_of_ones_own_and_an_importable_name(place, tmp_path, monkeypatch):
    monkeypatch.chdir(place)
    assert (
        main(["train", "mynet:RECIPE", "--data", "digits", "--quiet", "--no-report", "--out", str(tmp_path / "run")])
        == 0
    )
    monkeypatch.chdir("/")
    run = jaxd2l.load_run(tmp_path / "run")
    assert (run.recipe.name, run.recipe.learning_rate, run.recipe.batch_size, len(run.epochs)) == ("tuned", 0.02, 6, 2)
    assert run.evaluate()[1] == run.epochs[-1].test_accuracy


def test_a_file_that_changed_is_said_where_it_fits_and_refused_where_it_does_not(place, tmp_path, capsys):
    file, run = tmp_path / "mynet.py", tmp_path / "run"
    shutil.copy(place / "mynet.py", file)
    shutil.copy(place / "beside.py", tmp_path)
    shutil.copytree(place / "run", run)
    config = config_of(run)
    config["code"]["name"] = f"{file}:Net"
    (run / "config.json").write_text(json.dumps(config), encoding="utf-8")
    file.write_text(NETWORK + "# a remark\n", encoding="utf-8")
    assert main(["evaluate", str(run)]) == 0
    assert f"{file}:Net has changed since the run began" in capsys.readouterr().err
    renamed = NETWORK.replace("nn.Dense(self.num_classes)", "nn.Dense(self.num_classes, name='last')")
    file.write_text(renamed, encoding="utf-8")
    code, line = said(capsys, "evaluate", run)
    assert (code, "has changed since" in line, "last" in line) == (65, True, True), line
    file.unlink()
    code, line = said(capsys, "evaluate", run)
    assert (code, "gone" in line) == (65, True), line
    shutil.copy(place / "mynet.py", run)
    config["code"]["name"] = f"{run / 'mynet.py'}:Net"
    (run / "config.json").write_text(json.dumps(config), encoding="utf-8")
    code, line = said(capsys, "evaluate", run)
    assert (code, "nothing is executed" in line) == (65, True), line


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("nowhere.py:Net", 74, "no such file"),
        ("mynet.py", 2, "mynet.py:Net"),
        ("mynet.py:Nett", 2, "did you mean Net?"),
        ("mynet.py:Other", 2, "is a class, expected a flax.linen module"),
        ("mynet.py:nnx", 2, "is a module"),
        ("mynet.py:Wide", 2, "needs arguments: width"),
        ("mynet.py:two", 2, "2 values, but the data have 3 classes"),
        ("mynet.py:Fails", 2, "fails with TypeError"),
        ("mynet.py:Noisy", 2, 'fails with InvalidRngError: None needs PRNG for "noise"'),
        ("mynet.py:Counts", 2, "fails with ScopeCollectionNotFound"),
        ("mynet.py:AlwaysDrops", 2, 'needs PRNG for "dropout"'),
        ("mynet.py:Still", 2, "no parameters to train"),
        (
            "mynet.py:Pools",
            2,
            "too small for the network: of them nothing is left for Dense_0/kernel (0, 3)",
        ),
        ("no.such.package:Net", 2, "No module named 'no'"),
        ("broken.py:Net", 2, "SyntaxError, line 2"),
        ("raises.py:Net", 2, "ZeroDivisionError, line 3"),
        ("leaves.py:Net", 2, "SystemExit, line 1"),
        ("unread.sub:Net", 2, "unread.sub cannot be imported: SyntaxError"),
        ("gone.sub:Net", 2, "gone.sub cannot be imported: SystemExit"),
    ],
)
def test_a_wrong_network_is_one_line_and_leaves_no_folder(place, tmp_path, capsys, name, code, words):
    for file, text in (("broken", "\nclass\n"), ("raises", "x = 0\n\n1 / x\n"), ("leaves", "raise SystemExit(1)\n")):
        (place / f"{file}.py").write_text(text, encoding="utf-8")
    for package, text in (("unread", "\nclass\n"), ("gone", "raise SystemExit(0)\n")):
        (place / package).mkdir(exist_ok=True)
        (place / package / "__init__.py").write_text(text, encoding="utf-8")
    found = said(capsys, "train", name, "--data", "digits", "--quiet", "--out", tmp_path / "run")
    assert found[0] == code, found
    assert words in found[1]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("mynet.py:Net",), 2, "say what to train Net on"),
        (("--config", "nowhere.json"), 74, "nowhere.json"),
        (("--config", "mynet.py"), 65, "not JSON"),
        (("--config", "digits"), 74, "config.json"),
        (("--config", "run", "--resume"), 2, "--resume"),
        (("--config", "run", "--epochs", "0"), 2, "epochs"),
        (("mynet.py:Net", "--dataset", "fashion_mnistt"), 2, "did you mean fashion_mnist?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_use_of_a_configuration_is_one_line(place, tmp_path, capsys, arguments, code, words):
    found = said(capsys, "train", *arguments, "--quiet", "--out", tmp_path / "run")
    assert found[0] == code, found
    assert words in found[1]


def test_a_setting_that_is_typed_wins_over_a_configurations_though_it_be_nought(tmp_path, capsys):
    config = {"recipe": "lenet", "dataset": "fashion_mnist", "image_size": 28}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    for option, value, words in (("--image-size", "0", "image_size must be"), ("--dataset", "", "unknown data set ''")):
        found = said(capsys, "train", "--config", tmp_path, option, value, "--quiet", "--out", tmp_path / "run")
        assert found[0] == 2, found
        assert words in found[1]


def test_what_belongs_to_another_choice_than_the_typed_one_is_no_longer_asked_for():
    """Else `--schedule cosine` would be refused for the steps of the configuration, which nobody can leave out."""
    kept = {"schedule": "step", "step_epochs": 1, "step_factor": 0.5, "optimizer": "sgd", "momentum": 0.9}
    steps, sgd = ("step_epochs", "step_factor"), ("momentum", "nesterov")
    for typed, left in (
        ({}, ()),
        ({"schedule": "step", "optimizer": "sgd"}, ()),
        ({"schedule": "cosine"}, steps),
        ({"schedule": "cosine", "optimizer": "adam"}, steps + sgd),
        ({"target": "price"}, ("augment",)),
    ):
        assert of_another_choice(typed, kept) == left


@pytest.mark.parametrize("importable", [False, True])
def test_a_network_whose_files_name_is_no_utf8_is_one_line(tmp_path, monkeypatch, capsys, importable):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    try:
        folder.mkdir()
    except OSError:  # a disk that takes UTF-8 alone has no such names
        return
    (folder / "unnamed.py").write_text("import flax.linen as nn\nNET = nn.Dense(3)\n", encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    name = "unnamed:NET" if importable else f"{folder / 'unnamed.py'}:NET"
    found = said(capsys, "train", name, "--dataset", "fashion_mnist", "--quiet", "--out", tmp_path / "run")
    assert found[0] == 2, found
    assert "the name is not UTF-8" in found[1]


def test_no_recipe_writes_outside_of_the_folder_for_its_results(place, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    common = ("--data", str(place / "digits"), "--epochs", "1", "--quiet", "--no-report")
    for command in (("train",), ("sweep", "--seeds", "1", "--out", "in"), ("reproduce", "--seeds", "1", "--out", "in")):
        name, *out = command
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path)
            found = said(capsys, name, f"{place}/mynet.py:OUTSIDE", *common, *out)
        assert found[0] == 2, found
        assert "recipe '..' is that of a folder too" in found[1]
        assert [path.name for path in tmp_path.rglob("*")] == ["in"]


def test_networks_of_one_convention_or_another_train_and_predict_apart(place):
    from jaxd2l.recipes import find, fitted_to
    from jaxd2l.recipes.kept import described

    recipe = fitted_to(find("mynet.py:Net"), described(config_of(place / "run")))
    x = np.ones((4, 64), np.float32)
    params = jaxd2l.load_run(place / "run").params
    plain = recipe.model.apply({"params": params}, x, train=False)
    np.testing.assert_array_equal(plain, recipe.model.network.apply({"params": params}, x, deterministic=True))
    import jax

    dropped = recipe.model.apply({"params": params}, x, train=True, rngs={"dropout": jax.random.key(0)})
    assert not np.array_equal(plain, dropped)


def test_what_goes_on_with_a_run_names_its_network_as_a_shell_takes_it(monkeypatch):
    monkeypatch.setattr("jaxd2l.wording.os", SimpleNamespace(name="posix"))
    code = {"name": "/some where/mynet.py:lenet", "folder": "", "sha256": ""}
    again = "jaxd2l train '/some where/mynet.py:lenet' --resume --out 'my run'"
    assert going_on(Path("my run"), {"recipe": "lenet", "code": code}) == again
    assert going_on(Path("run"), {"recipe": "lenet"}) == "jaxd2l train lenet --resume --out run"
