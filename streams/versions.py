"""What one version of the code may read that another has written."""


class NewerSchema(Exception):
    """A row or record was written by a newer version: this one could lose what it does not know."""
