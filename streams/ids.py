"""Ids are derived from what caused them: a keyed hash, so equal causes give equal ids."""

import re
from hashlib import blake2b

from schemas.values import EventId, FlowRunId, Identifier, ProfileId, SendId, StoreId

STRONG_KINDS = ("external_id", "email", "phone")
"""Strongest first. What these name is a person; other kinds name a device or a cart."""

REPLAY_SECRET = b"tillstream-replay: fixed on purpose, protects nothing"
"""The secret of `replay` and of the demo: same input, same bytes, on every machine."""

DERIVED_EVENT = "e"
"""How the id of an event begins that had none of its own."""

RANK_MAX = 9

_is_profile_id = re.compile("[in][0-9][0-9a-f]{24}").fullmatch


def is_profile_id(text: object) -> bool:
    """Has this the form of a profile id?"""
    return isinstance(text, str) and _is_profile_id(text) is not None


def is_named(profile_id: ProfileId) -> bool:
    """Was this profile first seen by an identifier that names a person?"""
    return profile_id.startswith("i")


def key_number(key: str) -> int:
    """A number of 63 bits for a row key: part of the origin of what its timer causes."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big") >> 1


class Ids:
    """Derives every id of a deployment.

    secret: at least 16 bytes; whoever has it can tell which id belongs to which e-mail address.
    """

    def __init__(self, secret: bytes) -> None:
        assert len(secret) >= 16, "a secret of at least 16 bytes"
        self._hash = blake2b(key=secret[:64], digest_size=12)

    def derive(self, kind: str, *parts: str | int) -> str:
        """24 hex digits from `kind` and `parts`; no two lists of parts are taken for each other."""
        digest = self._hash.copy()
        digest.update(
            "".join([f"{len(part)}:{part}" for part in (kind, *map(str, parts))]).encode()
        )
        return digest.hexdigest()

    def profile(
        self,
        store: StoreId,
        identifier: Identifier,
        *,
        strong: bool,
        rank: int = 0,
        epoch: int = 0,
    ) -> ProfileId:
        """`i<rank>...` from a strong identifier, `n<rank>...` from a weak one.

        rank: of the kind among the strong or the weak ones, strongest first. The smaller id wins
        every merge, so who is known by an external id keeps the id that it gives.
        """
        letter = "i" if strong else "n"
        hashed = self.derive("profile", store, *identifier, epoch)
        return f"{letter}{min(rank, RANK_MAX)}{hashed}"

    def event(self, store: StoreId, content: str) -> EventId:
        """For an event without an id: from its full content."""
        return DERIVED_EVENT + self.derive("event", store, content)

    def run(self, store: StoreId, profile: ProfileId, flow: str, trigger: EventId) -> FlowRunId:
        return "r" + self.derive("run", store, profile, flow, trigger)

    def send(self, run: FlowRunId, message: str, attempt: int) -> SendId:
        return "s" + self.derive("send", run, message, attempt)
