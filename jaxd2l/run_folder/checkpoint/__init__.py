"""What it takes to go on from inside an epoch: saved while training goes on, verified when it is read.

- `Checkpoints`, `Checkpoint`: those of one run, by number of updates
- `pack`, `unpack`: a `jaxd2l.train.Progress` as what they hold, and back
"""

from jaxd2l.run_folder.checkpoint.progress import pack, unpack
from jaxd2l.run_folder.checkpoint.store import Checkpoint, Checkpoints

__all__ = ["Checkpoint", "Checkpoints", "pack", "unpack"]
