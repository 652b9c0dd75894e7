"""A run as one file that outlives its packages: read, and trained again by the programs inside it.

Nothing here knows a network, a recipe or Flax; `jaxd2l.export.freeze_run` writes such files.

- `container`: the file, a zip of programs, numbers and text; `pack_frozen`, `read_frozen`, `Frozen`
- `programs`: its programs, read and compiled
- `rows`: the data it was trained on, found by name and digest
- `replay`: the training itself; `folder`: what it leaves in a run folder while it goes
- `outcome`: what came out beside what was recorded

    frozen = read_frozen(Path("lenet.frozen"))
    done = thaw(frozen)
    print(compare(frozen, done))
"""

from jaxd2l.frozen.container import Frozen, pack_frozen, read_frozen
from jaxd2l.frozen.outcome import Outcome, compare
from jaxd2l.frozen.replay import Thawed, thaw
from jaxd2l.frozen.rows import find_rows

__all__ = ["Frozen", "Outcome", "Thawed", "compare", "find_rows", "pack_frozen", "read_frozen", "thaw"]
