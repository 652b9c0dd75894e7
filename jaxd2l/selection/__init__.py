"""Many runs as one compiled program: to choose a model, or to know what one run is worth.

- `jaxd2l.selection.kfold`: cross-validate a grid, with the splits of `jaxd2l.selection.folds`
- `jaxd2l.selection.sweep`: one recipe at many rates and seeds, in a loop or by `jaxd2l.selection.vmapped`
"""
