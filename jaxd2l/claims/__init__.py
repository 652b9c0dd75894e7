"""What the founding notes claim, each claim with its value there and a function that computes it here.

One source for the pages, the tests and `jaxd2l verify`. Running the claims is running the library: `check` calls what
a claim names and compares; `beside` is the same as a Markdown table, for a page.

- `CLAIMS`: all of them, in the order of the notes' days; `ROWS`: the list of what the notes contain
- `Claim`, `check`, `Outcome`, `Verdict`, `show`: one claim and what came of it
- `on_day`, `of_rows`: some of them
- `jaxd2l.claims.subjects`: a module a subject; `jaxd2l.claims.stored`: long trainings as kept results
"""

from jaxd2l.claims.claim import Claim, Outcome, Verdict, check, show
from jaxd2l.claims.rows import ROWS, Row
from jaxd2l.claims.subjects import CLAIMS, beside, of_rows, on_day

__all__ = ["CLAIMS", "ROWS", "Claim", "Outcome", "Row", "Verdict", "beside", "check", "of_rows", "on_day", "show"]
