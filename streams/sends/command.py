"""A command, complete: whoever brings the send needs nothing but this record."""

from typing import Any

from schemas.definitions import Send, StoreSettings
from schemas.outputs import SendCommand
from schemas.rows import FlowRun, ProfileRow
from schemas.values import Instant
from streams.flows.chance import choose
from streams.ids import Ids
from streams.instants import to_timestamp
from streams.sends.gates import PlannedSend

VARIANTS_MAX = 100
"""Messages with variants of which a row remembers the one that was assigned."""


def command_of(
    row: ProfileRow,
    run: FlowRun,
    planned: PlannedSend,
    settings: StoreSettings,
    ids: Ids,
    *,
    now: Instant,
    valid_until: Instant,
) -> SendCommand:
    """The command for a send that all gates let pass."""
    assert planned.address is not None, "a command without an address"
    step = planned.step
    variant = run.variants.get(step.message)
    chosen = step.variants.get(variant) if variant is not None else None
    return SendCommand(
        id=planned.id,
        store=row.store,
        profile_id=row.id,
        channel=step.channel,
        address=planned.address,
        template=(chosen.template if chosen is not None else None) or step.template,
        flow=run.flow,
        flow_run_id=run.id,
        message=step.message,
        variant=variant,
        subject=(chosen.subject if chosen is not None else None) or step.subject,
        attempt=planned.attempt,
        transactional=step.transactional,
        context=context_of(row, run),
        unsubscribe_token=ids.derive(
            "unsubscribe", row.store, row.id, step.channel, planned.address
        ),
        postal_address=settings.address,
        decided_at=to_timestamp(now),
        valid_until=to_timestamp(valid_until),
    )


def context_of(row: ProfileRow, run: FlowRun) -> dict[str, Any]:
    """What a template needs: the profile's traits and the event that started the run."""
    trigger = run.trigger
    return {
        "traits": {name: trait.value for name, trait in row.traits.items()},
        "trigger": trigger.properties,
        "event_id": trigger.event_id,
        "metric": trigger.metric,
    }


def choose_variant(row: ProfileRow, run: FlowRun, step: Send, ids: Ids, *, now: Instant) -> None:
    """Assign a variant of a message by weight and a hash of the profile.

    It stays, in this run and in later ones, as long as the message has it and gives it a weight.
    What the person was assigned goes before what the run was: the person may have merged since.
    """
    weights = {name: one.weight for name, one in step.variants.items() if one.weight > 0}
    if not weights:
        return
    message = f"{run.flow}/{step.message}"
    assigned, _ = row.variants.get(message, ("", 0))
    drawn = run.variants.get(step.message)
    variant = next((one for one in (assigned, drawn) if one in weights), None)
    if variant is None:
        variant = choose(ids, weights, "variant", row.store, row.id, message)
        row.variants = newest_variants({**row.variants, message: (variant, now)})
    run.variants[step.message] = variant


def newest_variants(assigned: dict[str, tuple[str, Instant]]) -> dict[str, tuple[str, Instant]]:
    """As many as a row holds."""
    if len(assigned) <= VARIANTS_MAX:
        return assigned
    by_age = sorted(assigned, key=lambda message: (assigned[message][1], message))
    return {message: assigned[message] for message in by_age[-VARIANTS_MAX:]}
