"""`--svg FILE`: what a command tells, as a picture."""

from pathlib import Path

from agents.cli.failures import CommandFailed


def write_picture(file: Path, picture: str) -> None:
    """Raises: CommandFailed."""
    try:
        file.write_text(picture, encoding="utf-8")
    except OSError as error:
        raise CommandFailed(f"--svg {file}: {error.strerror}") from error
