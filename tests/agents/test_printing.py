"""What commands print: the same answer for people and for programs."""

import io

import msgspec

from agents.cli.printing import BAR_WIDTH, Printer, bar, shown


def printed(*, as_json: bool = False, terminal: bool = False) -> str:
    stream = io.StringIO()
    printer = Printer(as_json=as_json, stream=stream, terminal=terminal)
    printer.heading("Flows")
    printer.table(("flow", "sent"), [("cart [1]", 1_234), ("welcome", 5)])
    printer.bars([("vip", 10), ("looking", 5)])
    printer.line("done [now]")
    printer.data({"b": 1, "a": [2.5, None]})
    return stream.getvalue()


def test_plain_text_has_columns_and_numbers_to_the_right() -> None:
    assert printed().splitlines() == [
        "",
        "Flows",
        "-----",
        "flow       sent",
        "--------  -----",
        "cart [1]  1,234",
        "welcome       5",
        f"vip      10  {'█' * BAR_WIDTH}",
        f"looking   5  {'█' * (BAR_WIDTH // 2)}",
        "done [now]",
    ]


def test_a_terminal_shows_the_same_words() -> None:
    text = printed(terminal=True)
    for word in ("Flows", "cart [1]", "1,234", "done [now]"):
        assert word in text


def test_json_is_one_document_and_nothing_else() -> None:
    text = printed(as_json=True)
    assert msgspec.json.decode(text) == {"a": [2.5, None], "b": 1}


def test_numbers_as_people_read_them() -> None:
    texts = [shown(value) for value in (None, True, 1_000, 0.5, "x")]
    assert texts == ["", "yes", "1,000", "0.50", "x"]


def test_a_bar_is_never_longer_than_its_width_and_never_nothing() -> None:
    assert len(bar(10, 10)) == BAR_WIDTH
    assert bar(1, 1_000_000) == "▏"
    assert bar(0, 10) == bar(1, 0) == ""
