"""What may earn a credit: kinds of touches, their windows, the models that share it out."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias, get_args

from schemas.definitions import StoreSettings
from schemas.values import Channel, Millis, StoreId
from streams.consent.statements import TITLES
from streams.instants import DAY

Model: TypeAlias = Literal["last", "first", "linear", "position", "time-decay"]
MODELS: tuple[Model, ...] = get_args(Model)
Kind: TypeAlias = Literal["delivered", "open", "click"]

STRENGTH: Mapping[Kind, int] = MappingProxyType({"delivered": 1, "open": 2, "click": 3})
"""Which touch counts of two at the same instant: the stronger."""

_VERBS: Mapping[str, Kind] = MappingProxyType(
    {"Received": "delivered", "Opened": "open", "Clicked": "click"}
)
TOUCHES: Mapping[str, tuple[Channel, Kind]] = MappingProxyType(
    {
        f"{verb} {title}": (channel, kind)
        for verb, kind in _VERBS.items()
        for channel, title in TITLES.items()
    }
)
"""Metric of an outcome -> the touch it is."""

CONVERSION = "Placed Order"
HALF_LIFE: Millis = 7 * DAY


class UnknownModel(ValueError):
    """A model that is not there; the message says which are."""


class CreditRules(NamedTuple):
    """How one store credits its sends.

    conversion: the metric that is credited; its value is what is shared out.
    currency:   of conversions that name none.
    windows:    `email_click` -> how long after it a conversion counts. A kind that is not named
                earns nothing.
    starts:     what the window runs from: the touch itself, or the receipt of the send.
    half_life:  of `time-decay`.
    """

    store: StoreId
    models: tuple[Model, ...]
    windows: Mapping[str, Millis]
    starts: Literal["touch", "receipt"] = "touch"
    conversion: str = CONVERSION
    currency: str = "EUR"
    half_life: Millis = HALF_LIFE

    def window(self, channel: Channel, kind: Kind) -> Millis:
        """Say how long a touch of this kind may earn a credit; 0: not at all."""
        return self.windows.get(f"{channel}_{kind}", 0)


def rules_of(settings: StoreSettings) -> CreditRules:
    """The rules a store has written down.

    Raises: UnknownModel.
    """
    attribution = settings.attribution
    return CreditRules(
        store=settings.store,
        models=tuple(map(checked_model, attribution.models)),
        windows=attribution.windows,
        starts=attribution.starts,
        currency=settings.currency,
    )


def checked_model(name: str) -> Model:
    """Take the name of a model.

    Raises: UnknownModel.
    """
    if name == "data-driven":
        raise UnknownModel(
            "the model 'data-driven' is not there yet; it has to learn from journeys that did not "
            f"convert, which no other model looks at. There are: {', '.join(MODELS)}"
        )
    if name not in MODELS:
        raise UnknownModel(f"'{name}' is no model of attribution; there are: {', '.join(MODELS)}")
    return name
