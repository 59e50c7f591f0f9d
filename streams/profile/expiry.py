"""A command that came too late is withdrawn, and its send is planned anew."""

import msgspec

from schemas.definitions import Send
from schemas.rows import FlowRun, SentMemory
from streams.flows.moment import Moment
from streams.flows.sending import say
from streams.sends.gates import EXPIRED
from streams.sends.outcome import ATTEMPTS_MAX, withdraw


def note_expired(moment: Moment, sent: SentMemory) -> None:
    """Take the attempt back and plan the send anew, at most three times.

    The run itself goes on where it is; what is planned anew is a run of this one send.
    """
    row = moment.row
    withdraw(row, sent)
    run = _run_of(moment, sent)
    plan = None if run is None else moment.plans.flows.get(run.flow)
    if run is None or plan is None:
        return
    path = plan.sends.get(sent.message or "")
    if path is None:
        return
    if sent.attempt >= ATTEMPTS_MAX:
        step = plan.places[path].step
        assert isinstance(step, Send)
        say(moment, run, step, None, "dropped", (EXPIRED,))
        return
    anew: FlowRun = msgspec.structs.replace(
        run,
        step=path,
        wake_at=None,
        attempt=sent.attempt + 1,
        held_since=None,
        variants=dict(run.variants),
        listening=False,
        anew=True,
        ended_at=None,
    )
    row.runs.append(anew)
    moment.ready.append(anew)


def _run_of(moment: Moment, sent: SentMemory) -> FlowRun | None:
    row = moment.row
    for run in (*row.runs, *row.settled):
        if run.id == sent.run_id and not run.anew:
            return run
    return None
