"""Which sends are stopped after which words."""

from schemas.records import Stop
from streams.instants import to_instant
from streams.sends.stops import Switch, stop_of, switched, told

AT = to_instant("2026-03-01T09:00:00Z")


def after(*words: tuple[str | None, str | None, bool]) -> tuple[Stop, ...]:
    """The stops in force after (flow, channel, stopped), a millisecond apart."""
    stops: tuple[Stop, ...] = ()
    for number, (flow, channel, stopped) in enumerate(words):
        switch = Switch("main", number + 1, flow, channel, stopped, "ann")  # type: ignore[arg-type]
        stops = switched(stops, switch, AT + number)
    return stops


def test_a_stop_covers_its_flow_and_channel_and_nothing_else() -> None:
    stops = after(("welcome", "sms", True))
    assert stop_of(stops, "welcome", "sms") is stops[0]
    assert stop_of(stops, "welcome", "email") is None
    assert stop_of(stops, "winback", "sms") is None
    assert stop_of(after((None, "sms", True)), "winback", "sms") is not None
    assert stop_of(after(("welcome", None, True)), "welcome", "email") is not None
    assert stop_of(after((None, None, True)), None, "push") is not None


def test_a_stop_is_lifted_by_the_word_about_the_same_and_by_no_other() -> None:
    both = after((None, None, True), ("welcome", None, True))
    assert switched(both, Switch("main", 3, None, None, False, "ann"), AT) == both[1:]
    assert switched(both, Switch("main", 3, "winback", None, False, "ann"), AT) == both


def test_a_repeated_stop_leaves_the_first_one_as_it_was() -> None:
    (stop,) = after(("welcome", None, True), ("welcome", None, True))
    assert stop.at == AT


def test_a_stop_tells_what_by_whom_and_since_when() -> None:
    (stop,) = after(("welcome", "sms", True))
    assert told(stop) == "flow welcome on sms, by ann, since 2026-03-01T09:00:00.000Z"
    (all_of_it,) = after((None, None, True))
    assert told(all_of_it).startswith("all sends, by ann")
