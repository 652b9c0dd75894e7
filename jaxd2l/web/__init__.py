"""A page to draw on, with a trained network inside: one file of HTML that runs without a network.

- `write_page`: of a run's folder
- `page`: of any predictor of pictures, your own network's too
- `plan_of`, `Plan`: a traced network as the list of operations that the page's interpreter runs
"""

from jaxd2l.web.document import LARGEST_BYTES, page
from jaxd2l.web.plan import Plan
from jaxd2l.web.trace import plan_of
from jaxd2l.web.write import write_page

__all__ = ["LARGEST_BYTES", "Plan", "page", "plan_of", "write_page"]
