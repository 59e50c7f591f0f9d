"""A worker's slot: its name in the cluster and its folder of rows, for one process at a time.

A worker that was frozen holds its slot until it has ended, so no other can take its name or open
its rows meanwhile. The lock is the kernel's and goes with the process.
"""

import fcntl
import time
from collections.abc import Iterable

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Int16, Int32, Schema, String

from agents.admin import admin_of
from agents.settings import Settings, SettingsError
from agents.topics import topic_name
from streams.replay import STAGES

WAIT_SECONDS_MAX = 10.0
POLL_SECONDS = 0.1


class SlotTaken(SettingsError):
    """Another process works in the slot; the message says which."""


def take_slot(settings: Settings, *, wait_s: float = WAIT_SECONDS_MAX) -> None:
    """Hold the slot until this process ends; one that is just ending is waited for.

    Raises: SlotTaken.
    """
    slot = settings.slot
    assert slot is not None
    file = settings.data / "slots" / f"{topic_name(settings, slot)}.lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    opened = file.open("a")
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise SlotTaken(
                    f"another worker on this machine is in TILLSTREAM_SLOT '{slot}' "
                    f"({file} is locked); every worker has a slot of its own"
                ) from None
            time.sleep(POLL_SECONDS)
        else:
            _held.append(opened)
            return


class _LeaveGroupResponse(Response):  # type: ignore[misc]
    API_KEY = 13
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        (
            "members",
            Array(
                ("member_id", String("utf-8")),
                ("instance_id", String("utf-8")),
                ("error_code", Int16),
            ),
        ),
    )


class _LeaveGroupV3(RequestStruct):  # type: ignore[misc]
    API_KEY = 13
    API_VERSION = 3
    RESPONSE_TYPE = _LeaveGroupResponse
    SCHEMA = Schema(
        ("group", String("utf-8")),
        ("members", Array(("member_id", String("utf-8")), ("instance_id", String("utf-8")))),
    )


class _LeaveGroup(Request[_LeaveGroupV3]):  # type: ignore[misc]
    """By the name of the place, which aiokafka's own does not know."""

    API_KEY = 13

    def __init__(self, group: str, slots: Iterable[str]) -> None:
        self._group, self._members = group, [("", slot) for slot in slots]

    def build(self, request_struct_class: type[_LeaveGroupV3]) -> _LeaveGroupV3:
        return request_struct_class(self._group, self._members)


async def give_up_slots(settings: Settings, slots: Iterable[str]) -> None:
    """Tell the cluster that nobody comes back to these slots, so that nothing waits for them.

    Raises: KafkaError.
    """
    names = list(slots)
    async with admin_of(settings) as admin:
        for stage in STAGES:
            group = topic_name(settings, stage)
            node = await admin.find_coordinator(group)
            await admin._send_request_to_node(node, _LeaveGroup(group, names))


_held: list[object] = []
"""Open for as long as the process lives."""
