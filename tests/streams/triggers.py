"""What a flow run was started by, for tests."""

import msgspec


def told(**properties: object) -> msgspec.Raw:
    """The properties of a trigger as it keeps them."""
    return msgspec.Raw(msgspec.msgpack.encode(properties))
