"""One run on many devices: the rows of each batch are divided over them, and each device holds all parameters.

- `data_mesh`, `local_devices`, `all_devices`: the devices of a run
- `require_divisible`, `nearest_batches`, `most_devices`: whether a batch can be divided over them
- `placed`, `copied`, `shardings`, `sharded_shapes`, `divided_axis`, `on_device`, `in_order_of_pieces`,
  `pieces`: where arrays lie, and which rows are where
- `spans_processes`, `writes_files`, `agreed`, `agreed_text`, `of_each`, `text_of_each`, `require_same`, `meet`,
  `readable`: where the devices belong to several processes, what these decide together
- `collectives`: what the devices of a compiled program exchange

There is one code path. Without a mesh, which is the default device alone, nothing of this leaves a trace in a program.
"""

from jaxd2l.train.mesh.devices import (
    AXIS,
    SHARDED,
    all_devices,
    data_mesh,
    local_devices,
    most_devices,
    nearest_batches,
    require_divisible,
)
from jaxd2l.train.mesh.exchanges import Collective, collectives
from jaxd2l.train.mesh.placement import (
    copied,
    divided_axis,
    in_order_of_pieces,
    on_device,
    own_places,
    pieces,
    placed,
    ring_on_device,
    sharded_shapes,
    shardings,
)
from jaxd2l.train.mesh.processes import (
    agreed,
    agreed_text,
    meet,
    of_each,
    readable,
    require_same,
    spans_processes,
    text_of_each,
    writes_files,
)

__all__ = [
    "AXIS",
    "SHARDED",
    "Collective",
    "agreed",
    "agreed_text",
    "all_devices",
    "collectives",
    "copied",
    "data_mesh",
    "divided_axis",
    "in_order_of_pieces",
    "local_devices",
    "meet",
    "most_devices",
    "nearest_batches",
    "of_each",
    "on_device",
    "own_places",
    "pieces",
    "placed",
    "readable",
    "require_divisible",
    "require_same",
    "ring_on_device",
    "sharded_shapes",
    "shardings",
    "spans_processes",
    "text_of_each",
    "writes_files",
]
