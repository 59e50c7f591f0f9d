"""What all leaves over features share: the window, and the content of the feature they look at."""

from schemas import conditions as c
from schemas.values import Instant
from streams.segments import windows
from streams.segments.features import Content, Kind
from streams.segments.values import compile_path, split_filters
from streams.segments.windows import Reach


def _static(window: c.Window | None) -> tuple[Instant | None, Instant | None]:
    """A window that does not move belongs to the feature: what is outside never comes in."""
    match window:
        case c.Before(at):
            return None, at
        case c.After(at):
            return at, None
        case c.Between(start, end):
            return start, end
        case _:
            return None, None


def reach_of(window: c.Window | None) -> Reach:
    """When an entry is in the window; a static one is the feature's own."""
    match window:
        case c.InLast(span):
            return Reach(0, span)
        case c.Ago(near, far):
            return Reach(near, far)
        case c.AtLeastAgo(span):
            return Reach(span, None, of_all=True)
        case c.SinceFlowStart():
            return Reach(0, None, since_start=True)
        case _:
            return Reach()


def horizon_of(window: c.Window | None, *, compared: bool) -> int | None:
    """The age up to which each entry must be kept; None: any age."""
    match window:
        case c.InLast(span):
            return span
        case c.Ago(_, far):
            return far
        case c.AtLeastAgo(span) if not compared:
            return span
        case _:
            return None


def extreme_kind(measure: c.Measure, window: c.Window | None, *, compared: bool) -> Kind:
    """Which entries can never be the extreme again."""
    if compared or isinstance(window, c.Ago):
        return "span-max" if measure == "max" else "span-min"
    if isinstance(window, c.InLast | c.SinceFlowStart):
        return "max" if measure == "max" else "min"
    return "max-old" if measure == "max" else "min-old"


class Ground:
    """The content of a feature, less its kind; picks: who of its entries counts for whom."""

    def __init__(self, event: c.EventFilter, window: c.Window | None, of: str | None) -> None:
        own, compared = split_filters(event.where)
        self.event = c.EventFilter(event.metric, own)
        self.kept = tuple(path for path, _ in compared)
        self.picks = windows.compile_picks([compile_path(other) for _, other in compared])
        self.start, self.end = _static(window)
        self.of = of

    def content(self, kind: Kind) -> Content:
        return Content(self.event, kind, self.start, self.end, self.of, self.kept)
