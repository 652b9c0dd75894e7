"""The command line as it is typed, out of the parser itself: the directive `commands`."""

import argparse

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from jaxd2l.cli.parser import build_parser

_WIDTH = 84


class Commands(SphinxDirective):
    """A section for each command: what it does, its usage, and every argument by group."""

    def run(self) -> list[nodes.Node]:
        """The sections, and the words of the program itself before them."""
        parser = build_parser()
        commands = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
        brief = {choice.dest: choice.help for choice in commands._choices_actions}
        text = nodes.literal_block(parser.description, parser.description, language="text")
        return [text, *(_section(name, sub, brief[name]) for name, sub in commands.choices.items())]


def _section(name: str, parser: argparse.ArgumentParser, brief: str) -> nodes.section:
    section = nodes.section(ids=[f"jaxd2l-{name}"], names=[f"jaxd2l-{name}"])
    section += nodes.title(name, "", nodes.literal(text=f"jaxd2l {name}"))
    section += nodes.paragraph(text=parser.description or f"{brief[0].upper()}{brief[1:]}.")
    formatter = argparse.HelpFormatter(parser.prog, width=_WIDTH)
    formatter.add_usage(parser.usage, parser._actions, parser._mutually_exclusive_groups)
    usage = formatter.format_help().strip()
    section += nodes.literal_block(usage, usage, language="text")
    for group in parser._action_groups:
        actions = [a for a in group._group_actions if a.help != argparse.SUPPRESS]
        if actions:
            section += nodes.rubric(text=f"{group.title[0].upper()}{group.title[1:]}")
            section += _arguments(actions, formatter)
    if parser.epilog:
        section += nodes.paragraph(text=parser.epilog)
    return section


def _arguments(actions: list[argparse.Action], formatter: argparse.HelpFormatter) -> nodes.definition_list:
    items = nodes.definition_list(classes=["arguments"])
    for action in actions:
        shown = formatter._format_action_invocation(action)
        text = formatter._expand_help(action) if action.help else ""
        if action.choices:
            text += f" [{', '.join(map(str, action.choices))}]"
        items += nodes.definition_list_item(
            "", nodes.term("", "", nodes.literal(text=shown)), nodes.definition("", nodes.paragraph(text=text))
        )
    return items


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directive."""
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
