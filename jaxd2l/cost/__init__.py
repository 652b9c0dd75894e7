"""What a network costs, from shapes alone: parameters, computation, memory to train and memory to predict.

- `cost`, `Cost`, `Memory`, `largest_batch`: the four answers, before anything is allocated
- `jaxd2l.cost.layers`: one row a layer; `jaxd2l.cost.receptive_field`: what an output sees of the input
- `jaxd2l.cost.budget`: whether a run fits into the memory there is
- `jaxd2l.cost.traced`, `flops`, `liveness`: what the answers are counted from; `measured`: what updates take
"""

from jaxd2l.cost.answer import Cost, Memory
from jaxd2l.cost.budget import largest_batch
from jaxd2l.cost.estimate import cost

__all__ = ["Cost", "Memory", "cost", "largest_batch"]
