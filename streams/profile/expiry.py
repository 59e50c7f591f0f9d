"""A command that came too late is withdrawn, and its send is planned anew."""

import msgspec

from schemas.rows import FlowRun, SentMemory, Trigger
from streams.flows.moment import Moment
from streams.flows.sending import About, say
from streams.sends.gates import EXPIRED
from streams.sends.outcome import ANEW_WITHIN, ATTEMPTS_MAX, withdraw


def note_expired(moment: Moment, sent: SentMemory) -> None:
    """Take the attempt back and plan the send anew, at most three times, and within a day.

    The run itself goes on where it is; what is planned anew is a run of this one send.
    """
    row = moment.row
    withdraw(row, sent)
    run = _run_of(moment, sent)
    plan = moment.plans.flows.get(sent.flow or "")
    path = None if plan is None else plan.sends.get(sent.message or "")
    is_over = sent.attempt >= ATTEMPTS_MAX or moment.now - sent.at > ANEW_WITHIN
    if run is None or path is None or is_over:
        _give_up(moment, sent, run)
        return
    anew: FlowRun = msgspec.structs.replace(
        run,
        step=path,
        wake_at=None,
        attempt=sent.attempt + 1,
        held_since=None,
        variants=dict(run.variants),
        listening=False,
        passed=False,
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


def _give_up(moment: Moment, sent: SentMemory, run: FlowRun | None) -> None:
    """Say that the send is over: too many attempts, too late, its run reached its goal or is
    forgotten, or its step is gone.
    """
    if run is None:
        trigger = Trigger("expired", "")
        run = FlowRun(sent.run_id or "", sent.flow or "", "", trigger, sent.at, sent.at)
    about = About(sent.send_id, sent.message or "", sent.channel)
    say(moment, run, about, "dropped", (EXPIRED,))
