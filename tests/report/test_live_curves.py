import sys
from types import SimpleNamespace

import pytest

import jaxd2l
from jaxd2l.report import live
from jaxd2l.run_folder import KeptRun
from jaxd2l.train import EpochResult, Run


def result(epoch):
    return EpochResult(epoch, 1 / epoch, 0.5, 0.7, 0.25 * epoch, 1.0, 7.0)


def test_one_chart_grows_by_an_epoch_and_begins_anew_with_the_next_run(monkeypatch):
    told = []

    def display(shown, **_):
        told.append(("new", shown._repr_html_()))
        return SimpleNamespace(update=lambda shown: told.append(("again", shown._repr_html_())))

    ipython = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=1))
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
    curves = live()
    for epoch in (1, 2, 3, 1):
        curves(result(epoch), None)
    assert [how for how, _ in told] == ["new", "again", "again", "new"]
    chart = told[2][1]
    for words in ("train loss: 1 to 0.3333", "train accuracy: 0.5 to 0.5", "test accuracy: 0.25 to 0.75"):
        assert words in chart
    assert chart.startswith("<svg")


def test_without_a_notebook_an_epoch_is_a_line(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    live()(result(1), None)
    line = capsys.readouterr().out
    assert line.startswith("epoch 1  loss")
    assert "test accuracy 0.250" in line


@pytest.mark.parametrize("kind", ["recipe", "run", "kept", "cost"])
def test_a_notebook_shows_a_table_with_every_name_escaped(kind, tmp_path):
    recipe, epochs = jaxd2l.find("softmax"), (result(1), result(2))
    made = {
        "recipe": lambda: recipe,
        "run": lambda: Run(recipe, 0, None, epochs, 0.0),
        "kept": lambda: KeptRun(tmp_path / "<b>", recipe, 0, epochs, (), {}),
        "cost": lambda: jaxd2l.cost.cost(recipe),
    }
    text = made[kind]()._repr_html_()
    words = {"recipe": "learning_rate", "run": "0.3333", "kept": "&lt;b&gt;", "cost": "7,850"}
    assert text.startswith("<table><caption>softmax")
    assert words[kind] in text.replace("0.5", "0.3333")
    assert "<b>" not in text
