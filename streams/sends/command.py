"""A command, complete: whoever brings the send needs nothing but this record."""

from schemas.definitions import Send, StoreSettings
from schemas.outputs import SendCommand
from schemas.rows import FlowRun, ProfileRow
from schemas.values import Instant
from streams.flows.chance import choose
from streams.ids import Ids
from streams.instants import to_timestamp
from streams.sends.gates import PlannedSend


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
    step, trigger = planned.step, run.trigger
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
        context={
            "traits": {name: trait.value for name, trait in row.traits.items()},
            "trigger": trigger.properties,
            "event_id": trigger.event_id,
            "metric": trigger.metric,
        },
        unsubscribe_token=ids.derive(
            "unsubscribe", row.store, row.id, step.channel, planned.address
        ),
        postal_address=settings.address,
        decided_at=to_timestamp(now),
        valid_until=to_timestamp(valid_until),
    )


def choose_variant(run: FlowRun, step: Send, ids: Ids) -> None:
    """Assign a variant by weight and a hash of the run and the message; once assigned, it stays."""
    if not step.variants or step.message in run.variants:
        return
    names = sorted(step.variants)
    weights = {name: step.variants[name].weight for name in names}
    run.variants[step.message] = choose(ids, weights, "variant", run.id, step.message)
