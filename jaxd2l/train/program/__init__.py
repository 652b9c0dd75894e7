"""A recipe as a program for the shapes of one data set.

- `bind`: the pure functions of a run, the same ones for equal recipes; `over`: of many runs as one
- `compile_program`: four executables that serve every seed and learning rate, by `compile_functions`; `initial_state`,
  `mean` around them
- `require_same_program`: whether a program is that of a recipe and its data
- `streams`, `window_of`: data that do not fit on the device, and how much of them lies there
"""

from jaxd2l.train.program.binding import (
    COMPILED,
    Axis,
    Executable,
    Program,
    bind,
    calls_of,
    evaluation_of,
    identity,
    over,
    stored,
)
from jaxd2l.train.program.compiling import OPTIONS, Weights, compile_functions, compile_program, initial_state, mean
from jaxd2l.train.program.same import require_same_program
from jaxd2l.train.program.windows import streams, window_of

__all__ = [
    "COMPILED",
    "OPTIONS",
    "Axis",
    "Executable",
    "Program",
    "Weights",
    "bind",
    "calls_of",
    "compile_functions",
    "compile_program",
    "evaluation_of",
    "identity",
    "initial_state",
    "mean",
    "over",
    "require_same_program",
    "stored",
    "streams",
    "window_of",
]
