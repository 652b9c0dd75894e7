"""What can be typed after each command: one module each, with `add_parser(subparsers)`, importing nothing heavy.

The command itself is the module of the same name in `jaxd2l.commands`, which is imported when it is to run.
"""

NAMES = (
    "train",
    "evaluate",
    "predict",
    "report",
    "web",
    "list",
    "cost",
    "reproduce",
    "houses",
    "verify",
    "diagnose",
    "sweep",
    "check",
    "weights.import_torch",
    "weights.export",
    "weights.export_torch",
    "weights.twin",
    "weights.freeze",
    "weights.thaw",
)
