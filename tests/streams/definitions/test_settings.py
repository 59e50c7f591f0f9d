"""The settings of a store: what is not said is the default, null switches off."""

from schemas import definitions as d
from streams.definitions.parse import parse


def test_maps_of_settings_are_merged_with_the_defaults_and_null_switches_off() -> None:
    document = {
        "store": "main",
        "zone": "Europe/Berlin",
        "smart_sending": {"email": None, "sms": "1h", "across": "18h"},
        "quiet_hours": {"sms": None, "email": {"from": "22:00", "until": "07:00"}},
        "attribution": {"models": ["last", "linear"], "email_open": None},
        "sms_keywords": {"stop": ["ALTO"], "match": {"stop": "exact"}},
    }
    settings = parse([document]).settings
    assert settings.smart_sending == {"sms": 3_600_000, "push": 86_400_000, "whatsapp": 86_400_000}
    assert settings.smart_sending_across == 18 * 3_600_000
    assert settings.quiet_hours == {"email": d.Hours(22 * 60, 7 * 60)}
    assert "email_open" not in settings.attribution.windows
    assert settings.attribution.windows["email_click"] == 5 * 86_400_000
    exact = dict.fromkeys(("stop", "start", "help", "confirm"), "exact")
    assert settings.sms_keywords.match == exact
    assert settings.sms_keywords.start == ("START", "UNSTOP")


def test_null_switches_off_what_a_store_need_not_have() -> None:
    off = dict.fromkeys(("frequency_cap", "smart_sending", "quiet_hours", "address"))
    parsed = parse([{"store": "main", **off}])
    assert parsed.problems == ()
    settings = parsed.settings
    assert (settings.frequency_cap, settings.address) == ((), "")
    assert settings.smart_sending == settings.quiet_hours == {}
    assert parse([{"store": "main", "currency": None}]).errors
