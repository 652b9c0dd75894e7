"""A run as one file that outlives its packages: thawed without them it ends in the recorded bits."""

import dataclasses
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from jaxd2l import frozen as room
from jaxd2l.cli import main
from jaxd2l.data import DataError, Dataset, Examples
from jaxd2l.data.own import from_arrays
from jaxd2l.export import freeze_run
from jaxd2l.frozen import folder as folder_of
from jaxd2l.frozen import read_frozen
from jaxd2l.frozen.container import MANIFEST, PROGRAMS, pack_frozen, program_entry
from jaxd2l.frozen.programs import compile_programs, platform_here
from jaxd2l.prediction import load_run
from jaxd2l.recipes import find
from jaxd2l.run_folder import fit

FAST = ["--limit-train", "128", "--limit-test", "40", "--epochs", "2", "--batch-size", "32", "--quiet", "--no-report"]
RICH = [*("--validation-fraction", ".25", "--ema", ".9", "--schedule", "cosine", "--optimizer", "adam")]
GONE = ("flax", "optax", "orbax", "jaxd2l.nn", "jaxd2l.recipes", "jaxd2l.train", "jaxd2l.run_folder", "jaxd2l.export")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with dropout, a schedule, averaged weights and a validation part."""
    folder = tmp_path_factory.mktemp("freezing") / "run"
    assert main(["train", "dropout_mlp", *FAST, *RICH, "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def file(run):
    """It, frozen with its data."""
    assert main(["freeze", str(run), "--with-data"]) == 0
    return run.with_name("run.frozen")


def changed(file, path, **facts):
    """A copy of a frozen run with other facts."""
    with zipfile.ZipFile(file) as archive:
        manifest = json.loads(archive.read(MANIFEST))
        entries = {name: archive.read(name) for name in archive.namelist() if name in manifest["sha256"]}
    kept = {name: value for name, value in manifest.items() if name not in ("format", "sha256", "version")}
    path.write_bytes(pack_frozen({**kept, **facts}, entries, ""))
    return path


@pytest.mark.slow
def test_thawed_without_flax_recipe_or_networks_it_ends_in_the_recorded_bits(run, file, tmp_path):
    program = "import sys\nfor name in sys.argv.pop(1).split(): sys.modules[name] = None\n"
    program += "from jaxd2l.cli import main\nsys.exit(main(sys.argv[1:]))"
    out = tmp_path / "again"
    command = [sys.executable, "-c", program, " ".join(GONE), "thaw", str(file), "--out", str(out), "--json"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["same"], told["promised"]) == (True, True)
    assert "the same to the last bit: the figures of 2 epochs" in done.stdout
    for name in ("weights.safetensors", "best.safetensors", "ema.safetensors", "config.json", "test.json"):
        assert (out / name).read_bytes() == (run / name).read_bytes(), name
    timed = ("seconds", "images_per_second")
    rows, again = (
        [{k: v for k, v in result._asdict().items() if k not in timed} for result in load_run(folder).epochs]
        for folder in (run, out)
    )
    assert rows == again
    assert load_run(out).finished
    assert not (out / folder_of.STANDING).exists()


@pytest.mark.slow
def test_its_readme_trains_it_with_jax_alone(file, monkeypatch, capsys):
    text = zipfile.ZipFile(file).read("README.txt").decode()
    script = "\n".join(line[4:] for line in text.splitlines() if line.startswith("    ") or not line)
    monkeypatch.setattr(sys, "argv", ["script", str(file)])
    exec(compile(script, "README.txt", "exec"), {})
    assert capsys.readouterr().out.splitlines()[-1] == "the recorded bits: True"


@pytest.mark.slow
def test_a_thawing_that_was_stopped_goes_on_to_the_same_bits(run, file, tmp_path, capsys):
    out, frozen, asked = tmp_path / "again", read_frozen(file), iter([None] * 5 + [KeyboardInterrupt] * 9)
    writes = folder_of.Folder(out, frozen, lambda: next(asked))
    writes.begin()
    with pytest.raises(KeyboardInterrupt, match=r"1 of 2 epochs are kept in .* --resume"):
        room.thaw(frozen, on_epoch=writes.epoch, on_piece=writes.piece)
    assert main(["thaw", str(file), "--out", str(out)]) == 2
    assert "go on with --resume" in capsys.readouterr().err
    other = changed(file, tmp_path / "other.frozen", weight_decay=1.0)
    assert main(["thaw", str(other), "--out", str(out), "--resume"]) == 2
    assert "does not hold the thawing of" in capsys.readouterr().err
    (out / "best.safetensors").write_bytes(b"of a later epoch, as a kill may leave it")
    assert main(["thaw", str(file), "--out", str(out), "--resume"]) == 0
    assert "the same to the last bit" in capsys.readouterr().out
    assert (out / "best.safetensors").read_bytes() == (run / "best.safetensors").read_bytes()
    assert main(["thaw", str(file), "--out", str(out), "--resume"]) == 2
    assert "is finished" in capsys.readouterr().err


@pytest.mark.slow
def test_other_bits_are_told_and_other_conditions_named(file, tmp_path, capsys):
    facts = read_frozen(file).facts
    rows = [facts["rows"][0], {**facts["rows"][1], "train_loss": facts["rows"][1]["train_loss"] + 0.5}]
    other = changed(file, tmp_path / "other.frozen", rows=rows)
    assert main(["thaw", str(other), "--check"]) == 1
    assert "not the recorded bits; largest differences: train loss 0.5" in capsys.readouterr().out
    elsewhere = {**facts["environment"], "jax": "0.1", "flax": "0.1", "processor": "another"}
    other = changed(file, tmp_path / "elsewhere.frozen", rows=rows, environment=elsewhere)
    assert main(["thaw", str(other)]) == 0
    error = capsys.readouterr().err
    assert "not promised here: jax: 0.1, now" in error
    assert "processor: another, now" in error
    assert "flax" not in error


def _cut(content):
    return content[:-300]


def _flipped(content):
    at = content.index(b"programs/cpu/init") + 200
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def _foreign(content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "a")
    return buffer.getvalue()


def _packed_by(method):
    def change(content):
        changed = bytearray(content)
        for begins, at in ((b"PK\3\4", 8), (b"PK\1\2", 10)):  # of an entry, and of its line in the directory
            for found in re.finditer(re.escape(begins), content):
                changed[found.start() + at] = method
        return bytes(changed)

    return change


DAMAGED = {
    "text": (lambda content: b"no zip", "no frozen run, or a copy that was cut short"),
    "cut short": (_cut, "cut short or damaged"),
    "a bit flipped": (_flipped, "cut short or damaged"),
    **{f"packed by method {n}": (_packed_by(n), "cut short or damaged") for n in (12, 14, 99)},
    "another zip": (_foreign, "`jaxd2l freeze RUN_DIR` writes one"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_file_is_one_line(file, tmp_path, capsys, kind):
    change, words = DAMAGED[kind]
    (tmp_path / "bad").write_bytes(change(file.read_bytes()))
    assert main(["thaw", str(tmp_path / "bad"), "--check", "--quiet"]) == 65
    error = capsys.readouterr().err
    assert words in error
    assert len(error.splitlines()) == 1


ARRAYS = {f"{xy}_{part}": {"dtype": "uint8", "shape": [3], "sha256": ""} for xy in "xy" for part in ("train", "test")}
NAMES = {which: which for which in ("config", "environment", "metrics", "test", "last", "best", "ema")}
FACTS = {  # the least that freezing writes
    "recipe": "mine",
    "network": "",
    **{name: {} for name in ("config", "environment", "files")},
    "keys": {name: [0, 0] for name in ("init", "shuffle", "noise")},
    **dict.fromkeys(("learning_rate", "weight_decay"), 0.1),
    "epochs": 2,
    **dict.fromkeys(("train_steps", "batch_size"), 1),
    **dict.fromkeys(("classified", "drawn"), True),
    "rows": [{}, {}],
    "tested": None,
    "data": {"name": "mine", "arrays": ARRAYS},
    "programs": {"cpu": {"init": None, "epoch": {}}},
    "names": NAMES,
}
FOREIGN = {
    **{
        f"a file's name {name!r}": {"names": {**NAMES, "config": name}}
        for name in ("../x.json", "/x", "a/b", "a\\b", "c:x", "..", ".", "", "a\0", "metrics", 3, None)
    },
    "a file more": {"names": {**NAMES, "other": "a"}},
    "a file less": {"names": {name: NAMES[name] for name in list(NAMES)[1:]}},
    "no arrays": {"data": {"name": "mine"}},
    "an array less": {"data": {"name": "mine", "arrays": {k: v for k, v in ARRAYS.items() if k != "x_test"}}},
    **{
        f"an array of {key} {value!r}": {
            "data": {"name": "mine", "arrays": {**ARRAYS, "x_train": {**ARRAYS["x_train"], key: value}}}
        }
        for key, value in (("dtype", "int7"), ("dtype", "O"), ("dtype", 3), ("shape", 3), ("shape", ["a"]), ("more", 1))
    },
    "an array of none": {"data": {"name": "mine", "arrays": {**ARRAYS, "x_train": None}}},
    "no options": {"programs": {"cpu": None}},
    "options of none": {"programs": {"cpu": {"init": 3}}},
    "another key": {"keys": {"init": [0, 0]}},
    "a key of words": {"keys": {**FACTS["keys"], "init": ["a"]}},
    "a row of none": {"rows": [{}, None]},
    "no steps": {"train_steps": 0},
    "what a test said": {"tested": {"last": 1.0}},
    "weights of a number": {"files": {"last": 3}},
    "other weights": {"files": {"others": "last"}},
    "digests of none": {"environment": {"sha256": 3}},
}


def test_what_freezing_writes_is_read(tmp_path):
    (tmp_path / "a").write_bytes(pack_frozen(FACTS, {}, ""))
    assert read_frozen(tmp_path / "a").facts.items() >= FACTS.items()


@pytest.mark.parametrize("foreign", FOREIGN)
def test_a_manifest_that_freezing_does_not_write_is_refused_when_it_is_read(tmp_path, foreign):
    (tmp_path / "a").write_bytes(pack_frozen({**FACTS, **FOREIGN[foreign]}, {}, ""))
    with pytest.raises(DataError, match="is not what freezing writes"):
        read_frozen(tmp_path / "a")


@pytest.mark.parametrize("name", ["init", "shuffle", "epoch", "evaluation", "test"])
def test_a_program_that_is_missing_is_named(tmp_path, monkeypatch, name):
    held_out = {f"{xy}_validation": ARRAYS["x_train"] for xy in "xy"}
    facts = {**FACTS, "programs": {platform_here(): {}}, "data": {"name": "mine", "arrays": {**ARRAYS, **held_out}}}
    others = {program_entry(platform_here(), other): b"" for other in PROGRAMS if other != name}
    (tmp_path / "a").write_bytes(pack_frozen(facts, others, ""))
    monkeypatch.setattr("jaxd2l.frozen.programs.compile_content", lambda *_: None)
    with pytest.raises(DataError, match=f"without its programs/.*/{name}"):
        compile_programs(read_frozen(tmp_path / "a"), print)


@pytest.mark.parametrize("tested", [None, {"last": {}}])
def test_a_thawing_is_finished_when_all_that_it_writes_is_there(tmp_path, tested):
    (tmp_path / "a").write_bytes(pack_frozen({**FACTS, "tested": tested}, {}, ""))
    frozen, out = read_frozen(tmp_path / "a"), tmp_path / "out"
    writes = folder_of.Folder(out, frozen, lambda: None)
    writes.begin()
    state = {"params.a": np.zeros(1)}
    for epoch in (1, 2):
        assert folder_of.Folder(out, frozen, lambda: None).restore() is None
        with pytest.raises(ValueError, match="go on with --resume"):
            folder_of.require_free(out, frozen)
        writes.epoch({"epoch": epoch, "test_loss": 1.0}, state)
    if tested:
        assert folder_of.Folder(out, frozen, lambda: None).restore() is None, "the test part is still to be judged"
        writes.close(room.Thawed((), {}, tested, 0.0))
    with pytest.raises(ValueError, match="is finished"):
        folder_of.Folder(out, frozen, lambda: None).restore()
    with pytest.raises(ValueError, match="something already; name another"):
        folder_of.require_free(out, frozen)


def _spoiled(content):
    at = content.index(b"x_train.npy") + 60
    return content[:at] + b"\xff" * 40 + content[at + 40 :]


def _one_array(content):
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


@pytest.mark.parametrize("change", [_cut, _spoiled, _one_array, *map(_packed_by, (12, 14, 99))])
def test_rows_in_a_damaged_npz_are_refused_as_data(tmp_path, change):
    (tmp_path / "a").write_bytes(pack_frozen(FACTS, {}, ""))
    np.savez_compressed(tmp_path / "good.npz", **{name: np.arange(999) for name in ARRAYS})
    (tmp_path / "bad.npz").write_bytes(change((tmp_path / "good.npz").read_bytes()))
    with pytest.raises(DataError, match=r"no \.npz of plain arrays, or a damaged one"):
        room.find_rows(read_frozen(tmp_path / "a"), str(tmp_path / "bad.npz"))


@pytest.mark.slow
def test_what_cannot_be_thawed_is_one_line(file, tmp_path, capsys, monkeypatch):
    facts = read_frozen(file).facts
    later = tmp_path / "later"
    later.write_bytes(pack_frozen({**facts, "version": 2}, {}, ""))
    nowhere = changed(file, tmp_path / "nowhere", programs={"tpu": {}})
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    x = np.zeros((3, 28, 28, 1), np.uint8)
    np.savez(tmp_path / "other.npz", **dict.fromkeys(facts["data"]["arrays"], x))
    for arguments, code, words in (
        ([later, "--check"], 65, "frozen by a later jaxd2l, version 2"),
        ([nowhere, "--check"], 65, "frozen for tpu, and this is cpu"),
        ([tmp_path / "gone"], 74, "No such file"),
        ([file, "--out", tmp_path / "full"], 2, "holds something already"),
        ([file, "--check", "--resume"], 2, "--check writes nothing"),
        ([file, "--check", "--data", tmp_path / "other.npz"], 65, "x_train has shape (3, 28, 28, 1), expected ("),
        ([file, "--check", "--data", tmp_path / "gone.npz"], 74, "no such file"),
        ([file, "--check", "--data", tmp_path], 65, "give a .npz of x_train, y_train, x_validation"),
    ):
        assert main(["thaw", *map(str, arguments)]) == code, words
        error = capsys.readouterr().err
        assert words in error
        assert len([line for line in error.splitlines() if not line.startswith("note:")]) == 1

    def full(path, content):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(folder_of, "write_atomically", full)
    assert main(["thaw", str(file), "--out", str(tmp_path / "out"), "--quiet"]) == 74
    assert "No space left on device" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "flatbuffers", None)
    assert main(["thaw", str(file), "--check"]) == 2
    assert "pip install 'jaxd2l[export]'" in capsys.readouterr().err


@pytest.mark.slow
def test_the_data_are_found_by_name_and_known_by_digest(run, file, tmp_path):
    without = tmp_path / "without.frozen"
    with zipfile.ZipFile(file) as archive:
        manifest = json.loads(archive.read(MANIFEST))
    kept = {name: value for name, value in manifest.items() if name not in ("format", "sha256", "version")}
    without.write_bytes(pack_frozen(kept, {}, ""))
    frozen = read_frozen(without)
    rows = room.find_rows(frozen)
    inside = room.find_rows(read_frozen(file))
    assert rows.keys() == inside.keys() == {f"{xy}_{part}" for xy in "xy" for part in ("train", "validation", "test")}
    assert all(np.array_equal(rows[name], inside[name]) for name in rows)
    np.savez(tmp_path / "same.npz", **{name: a.astype(np.int64) for name, a in rows.items()})
    given = room.find_rows(frozen, str(tmp_path / "same.npz"))
    assert all(given[name].dtype == rows[name].dtype and np.array_equal(given[name], rows[name]) for name in rows)


@pytest.mark.slow
def test_what_cannot_be_frozen_is_refused_and_leaves_no_file(run, tmp_path, capsys, monkeypatch):
    file = tmp_path / "a.frozen"
    environment, config = ((run / name).read_text(encoding="utf-8") for name in ("environment.json", "config.json"))

    def refused(words, code):
        assert main(["freeze", str(run), "--out", str(file)]) == code, words
        error = capsys.readouterr().err
        assert words in error
        assert len(error.splitlines()) == 1
        assert not file.exists()

    def put(name, text, **changes):
        (run / name).write_text(json.dumps({**json.loads(text), **changes}), encoding="utf-8")

    try:
        put("environment.json", environment, devices_used=8)
        refused("ran on 8 devices", 2)
        put("environment.json", environment)
        put("config.json", config, init_from={"path": None, "weights": None, "sha256": ""})
        refused("began with weights given from Python", 2)
        put("config.json", config, data={**json.loads(config)["data"], "sha256": "other"})
        refused("was not trained on these rows", 65)
        put("config.json", config, epochs=3)
        refused("is not finished (2 of 3 epochs)", 2)
    finally:
        (run / "environment.json").write_text(environment, encoding="utf-8")
        (run / "config.json").write_text(config, encoding="utf-8")
    assert main(["freeze", str(run), "--out", os.devnull]) == 2
    assert main(["freeze", str(tmp_path / "none")]) == 65
    capsys.readouterr()
    monkeypatch.setattr("jaxd2l.export.beginning._equal", lambda ours, theirs: False)
    refused("the initial state has other bits than the run's own; nothing was written", 70)
    monkeypatch.setitem(sys.modules, "flatbuffers", None)
    refused("pip install 'jaxd2l[export]'", 2)


@pytest.mark.slow
def test_data_given_from_python_are_kept_inside_or_refused(tmp_path):
    draw = np.random.default_rng(0)
    x, y = draw.integers(0, 256, (27, 6, 5, 1), np.uint8), np.arange(27, dtype=np.int32) % 3
    data = from_arrays(x[:20], y[:20], x[20:], y[20:], name="mine")
    model = find("softmax").model.clone(num_classes=3)
    recipe = dataclasses.replace(
        find("softmax"), dataset="mine", model=model, image_size=(6, 5), epochs=1, batch_size=8
    )
    fit(recipe, data, run_dir=tmp_path / "run")
    kept = load_run(tmp_path / "run", recipe)
    with pytest.raises(ValueError, match="data given from Python"):
        freeze_run(kept, tmp_path / "a.frozen")
    freeze_run(kept, tmp_path / "a.frozen", data=data, with_data=True)
    frozen = read_frozen(tmp_path / "a.frozen")
    assert room.compare(frozen, room.thaw(frozen)).same
    freeze_run(kept, tmp_path / "b.frozen", data=data)
    with pytest.raises(ValueError, match="trained on mine, which cannot be found; --data"):
        room.find_rows(read_frozen(tmp_path / "b.frozen"))
    other = Dataset("mine", Examples(x[19::-1].copy(), y[:20]), data.test, data.classes)
    with pytest.raises(ValueError, match="not trained on these rows"):
        freeze_run(kept, tmp_path / "c.frozen", data=other)
    assert sorted(Path(tmp_path).glob("*.frozen")) == [tmp_path / "a.frozen", tmp_path / "b.frozen"]
