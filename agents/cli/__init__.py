"""The command line. main.py finds the command; each module beside it has one command.

A command module has `DESCRIPTION`, `arguments(parser)` and `run(options, settings) -> exit code`.
What it prints goes through printing.py: `rich` in a terminal, plain text elsewhere, `--json`.
"""
