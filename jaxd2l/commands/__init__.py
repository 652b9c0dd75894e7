"""What the commands do: one module each, with `run(args) -> exit code`; called as `jaxd2l.cli.arguments` says."""
