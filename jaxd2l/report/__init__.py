"""Reports: a run on the terminal, finished runs as tables, and pages to look at.

- `console`: a bar, a line an epoch, a closing table; `table`, `sweep`: Markdown over seeds and rates
- `spread`: mean, deviation and interval of trainings over seeds; `kept`: those that a stopped command has finished
- `write`: one function for each kind of result, from its folder to `report.html`
- `record`: what a run's folder says; `inspection`: what its network does, by `judgement` and `activations`
- `chart`: values as SVG and PNG; `page`: the HTML and the pictures in it
"""
