"""How a command says that it cannot be done."""


class CommandFailed(Exception):
    """A command cannot be done as it was asked for; the message says why and what to do."""


class NotThere(CommandFailed):
    """What was asked about is not there; the message says what is."""
