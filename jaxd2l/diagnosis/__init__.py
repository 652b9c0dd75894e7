"""Is a curve normal, and if not, what was done? Ten pasted lines against stored trainings with known mistakes.

Only NumPy is needed, so the answer comes at once.

- `diagnose`, `Diagnosis`, `Figure`, `Likely`: the answer
- `read_curve`, `Curve`, `CurveError`: what can be pasted
- `CAUSES`, `Cause`: the mistakes in words; `RECIPES`, `curves_of`, `Stored`: their trainings
- `held_out`, `left_out`, `Tried`: what is said of each training, and of each mistake, that is not among the stored ones
"""

from jaxd2l.diagnosis.answer import diagnose
from jaxd2l.diagnosis.causes import CAUSES, Cause
from jaxd2l.diagnosis.comparison import Likely
from jaxd2l.diagnosis.curve import Curve, read_curve
from jaxd2l.diagnosis.result import Diagnosis, Figure
from jaxd2l.diagnosis.stored import RECIPES, Stored, curves_of
from jaxd2l.diagnosis.trial import Tried, held_out, left_out
from jaxd2l.diagnosis.value import CurveError

__all__ = [
    "CAUSES",
    "RECIPES",
    "Cause",
    "Curve",
    "CurveError",
    "Diagnosis",
    "Figure",
    "Likely",
    "Stored",
    "Tried",
    "curves_of",
    "diagnose",
    "held_out",
    "left_out",
    "read_curve",
]
