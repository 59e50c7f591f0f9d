"""What is promised, which test proves it, and what came of it last: `docs/promises.md`.

`python -m tests.prove.promises` writes the page from the table below and `docs/proof/results.json`,
which `make prove` keeps. A test sees that every test named here is there.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

CHECKOUT = Path(__file__).parents[2]
PAGE = CHECKOUT / "docs" / "promises.md"
RESULTS = CHECKOUT / "docs" / "proof" / "results.json"
IN_MAKE_TEST = "in `make test`"
NEVER = "not run yet"

Results = Mapping[str, Mapping[str, Any]]


class Promise(NamedTuple):
    """tests: by file and name below `tests/`. open: what is not yet proved."""

    promise: str
    tests: tuple[str, ...]
    open: str = ""


PATH = "integration/path"
HELD, NARROW = f"{PATH}/test_held_back.py", f"{PATH}/test_overflow.py"
STEP = "streams/profile/test_step.py"
ANY_ORDER = "streams/identity/test_any_order.py"
BRUTE = "streams/segments/test_differential.py"
GRAPHS = "streams/flows/test_graphs.py"
LOCAL = "streams/flows/test_local_time.py"
ORDERS = "streams/consent/test_interleavings.py"
FACTS = "streams/profile/test_facts.py"
HISTORIES = "streams/identity/test_histories.py"
SPLITS = "streams/identity/test_splits.py"
BACKFILL = "streams/profile/test_backfill.py"
EDITED_LIVE = f"{PATH}/test_edited.py"
RANKING = "integration/live/test_ranking.py"
SINK = "integration/test_timeline_sink.py"
LIBRARY = "scenarios/test_library_replay.py"
TRANSACTIONS = "integration/test_transactions.py"
FAULTS = "prove/test_faults.py::test_faults_at_any_instant"

PROMISES: tuple[Promise, ...] = (
    Promise(
        "Whatever befalls workers and broker (kill -9, a freeze beyond the session, joining, "
        "leaving, SIGTERM, the broker killed), at random instants, with 1 to 3 workers and rows "
        "in memory or on disk: rows are a recount, and outputs those of the undisturbed run, byte "
        "for byte in each partition",
        (
            FAULTS,
            f"{PATH}/test_killed.py::test_workers_killed_at_any_instant",
            f"{PATH}/test_frozen.py::test_a_worker_frozen_at_any_instant",
            f"{PATH}/test_joining.py::test_workers_that_come_and_go_at_any_instant",
            "agents/test_station.py::test_a_crash_at_any_await_loses_and_doubles_nothing",
        ),
    ),
    Promise(
        "The same for histories that merge, alias, refuse, hand over and erase, some of them at "
        "once, with clients and repeats among them",
        ("prove/test_identity.py::test_people_become_one_whatever_befalls_the_workers",),
    ),
    Promise(
        "The same on a cluster of three brokers, each partition on all of them, of which one or "
        "two at once are killed too and come back: leaders change, and for a while nothing can be "
        "written",
        ("prove/test_cluster.py::test_leaders_that_change_lose_and_double_nothing",),
    ),
    Promise(
        "What was committed when the broker was killed is committed in every partition; a "
        "transaction that a broker left without an end is refused, not doubled",
        (
            f"{TRANSACTIONS}::test_what_was_committed_when_the_broker_was_killed_is_committed",
            f"{TRANSACTIONS}::test_a_transaction_that_nobody_will_end_is_refused",
        ),
        "Apache Kafka 4.3.0 to 4.4.0, which lose such ends, are noticed in the changelog only "
        "(docs/architecture.md, a transaction without an end)",
    ),
    Promise(
        "The same when the broker is away for a minute",
        ("prove/test_faults.py::test_the_broker_away_for_a_minute",),
    ),
    Promise(
        "The same after the changelogs were compacted",
        ("prove/test_compaction.py::test_what_is_left_after_compaction_is_enough",),
    ),
    Promise(
        "With every flow of the library at work for eight months while workers are killed, frozen "
        "and joined: one command for each decision to send, nothing handed over twice by the "
        "reference sender, and live equals the replay byte for byte",
        (
            f"{PATH}/test_library.py::test_every_send_is_commanded_and_delivered_once",
            f"{LIBRARY}::test_forty_rounds_at_a_time_and_hardly_any_room_say_the_same_bytes",
            f"{LIBRARY}::test_every_decision_to_send_has_one_command_and_no_other_has_any",
        ),
    ),
    Promise(
        "A step that is done twice says the same twice: equal ids, equal content; a repeated "
        "event changes nothing",
        (
            f"{STEP}::test_a_repeated_event_changes_and_says_nothing",
            f"{STEP}::test_no_id_is_said_twice_and_every_command_has_its_decision",
            f"{ANY_ORDER}::test_in_any_order_and_however_often_every_history_ends_well",
        ),
        "partly emitted outputs followed by a rolled-back state: what transactions exclude is "
        "not simulated for the profile stage",
    ),
    Promise(
        "Every event ends in exactly one live profile, with at most one external id, and nothing "
        "pending, in any order of arrival and with repeats",
        (
            f"{HISTORIES}::test_every_history_ends_well",
            f"{HISTORIES}::test_thousands_of_histories_end_well",
            f"{ANY_ORDER}::test_thousands_of_histories_end_well_in_any_order",
        ),
    ),
    Promise(
        "Where nothing conflicts and no device is shared, the profiles are the same for every "
        "order of arrival",
        (
            (
                f"{HISTORIES}::test_the_order_of_arrival_changes_nothing"
                "_where_nobody_shares_and_nothing_conflicts"
            ),
            f"{HISTORIES}::test_thousands_of_orders_of_arrival_change_nothing",
        ),
    ),
    Promise(
        "Who was split is never one again, each has what is theirs, and the history is told once, "
        "whatever is merged, split or erased meanwhile",
        (
            (
                f"{SPLITS}::test_who_is_split_at_any_moment"
                "_is_never_one_again_and_each_has_what_is_theirs"
            ),
            f"{SPLITS}::test_thousands_of_splits",
            f"{SPLITS}::test_thousands_of_splits_end_well_in_any_order",
            f"{SPLITS}::test_thousands_of_splits_and_erasures_leave_nobody_waiting",
            f"{SPLITS}::test_thousands_of_schedules_with_splits_equal_the_replay",
        ),
    ),
    Promise(
        "Clocks that come twice or late change nothing but when things are done; a clock that "
        "stands still is told",
        (
            "streams/test_rounds.py::test_any_schedule_with_stalls_and_crashes_equals_the_replay",
            "streams/test_rounds.py::test_thousands_of_schedules_equal_the_replay",
            f"{PATH}/test_live.py::test_an_event_comes_through_by_the_ticks_of_one_ticker_or_two",
            "agents/test_health.py::test_a_clock_that_stands_still_is_not_silent",
        ),
        "a worker whose own watch is more than five minutes behind the broker's believes no "
        "tick: time stands still and the worker says so, which is not *no difference at all*",
    ),
    Promise(
        "A partition that is held back over due instants changes no send",
        (f"{HELD}::test_a_partition_held_back_over_due_instants_changes_no_send",),
    ),
    Promise(
        "What a partition keeps waiting is bounded (200,000 records); the rest stays in the log, "
        "and nothing is lost or overtaken",
        (
            "prove/test_waiting.py::test_two_hundred_thousand_wait_and_the_rest_stays_in_the_log",
            f"{NARROW}::test_the_log_is_the_buffer_of_a_worker_that_keeps_next_to_nothing",
        ),
    ),
    Promise(
        "Live equals the replay in memory, byte for byte in each partition, merges included, "
        "whatever the sizes of fetches and the delays between partitions",
        (
            f"{PATH}/test_undisturbed.py::test_one_worker_says_what_the_core_in_memory_says",
            "streams/test_rounds.py::test_thousands_of_schedules_equal_the_replay",
            f"{HISTORIES}::test_thousands_of_schedules_equal_the_replay",
            "integration/test_recorded.py::test_a_recorded_log_is_found_equal",
        ),
        "the demo compares its year with every run; it is no test",
    ),
    Promise(
        "Every window and operator equals brute force, with late, future and negative values, at "
        "random instants and a millisecond around each flip",
        (
            f"{BRUTE}::test_every_count_and_its_flip_equal_brute_force",
            f"{BRUTE}::test_every_amount_and_its_flip_equal_brute_force",
            f"{BRUTE}::test_every_tree_and_its_flip_equal_brute_force",
            f"{BRUTE}::test_brute_force_agrees_at_length",
        ),
    ),
    Promise(
        "No command is decided after a denial was received, for any holder of the address",
        (
            f"{STEP}::test_nothing_is_sent_after_a_denial_was_received",
            "scenarios/test_sends.py::test_no_text_overtakes_a_stop_between_hold_and_send",
            "scenarios/test_people.py::test_stop_at_a_shared_phone_reaches_everybody_who_holds_it",
            "agents/test_sender.py::test_a_stop_that_came_after_the_decision_stops_the_send",
            f"{ORDERS}::test_no_order_of_three_events_sends_after_a_denial",
            f"{ORDERS}::test_no_order_of_any_events_in_any_partitions_sends_after_a_denial",
            f"{ORDERS}::test_no_order_of_four_or_five_events_sends_after_a_denial",
            f"{ORDERS}::test_where_a_link_is_just_being_made_the_last_look_objects",
        ),
        "a denial that names no address reaches others who hold one within three rounds, and in "
        "those the last look may miss it; campaigns",
    ),
    Promise(
        "In any graph of steps every run ends or waits, and no step is taken twice; local times "
        "are what the clocks of real zones show",
        (
            f"{GRAPHS}::test_every_run_ends_takes_no_step_twice_and_the_row_is_bounded",
            f"{GRAPHS}::test_so_does_every_run_of_thousands_of_graphs",
            f"{LOCAL}::test_hours_are_what_the_clocks_show_minute_by_minute",
            f"{LOCAL}::test_every_zone_there_is_shows_what_its_clocks_show",
        ),
    ),
    Promise(
        "Rows stay below their cap, whatever is pushed",
        (
            f"{FACTS}::test_a_row_stays_bounded",
            f"{FACTS}::test_a_thousand_hostile_events_leave_a_row_that_can_be_kept",
            "streams/profile/test_merge.py::test_wishes_are_bounded",
            "prove/test_rows.py::test_a_row_stays_below_its_cap_whatever_happens_to_one_person",
            "streams/profile/test_size.py::test_an_event_that_takes_a_row_over_its_cap_counts",
            "streams/profile/test_size.py::test_merges_of_full_rows_stop_no_worker",
        ),
    ),
    Promise(
        "Shadow, then live, equals live from the start",
        (
            f"{BACKFILL}::test_shadow_then_live_equals_live_from_the_start",
            f"{BACKFILL}::test_shadow_then_live_equals_live_from_the_start_at_length",
        ),
    ),
    Promise(
        "Definitions added, edited and removed in mid-stream: live equals the replay, byte for "
        "byte, also while many profiles are visited for them and a worker is killed",
        (
            "scenarios/test_edited.py::test_the_recorded_log_says_the_same_again_byte_for_byte",
            f"{EDITED_LIVE}::test_workers_that_are_killed_while_definitions_change_say_the_same",
            f"{EDITED_LIVE}::test_a_worker_that_is_killed_while_many_are_visited_says_the_same",
        ),
    ),
    Promise(
        "A cut through the population is in the log: measured by `up` and by the command, the same "
        "for all, live and replayed",
        (
            f"{RANKING}::test_up_and_the_command_rank_the_profiles_and_live_equals_replay",
            "agents/test_population.py::test_the_timeline_gives_the_cuts_of_the_profiles",
        ),
    ),
    Promise(
        "The timeline has every record once, also when the sink ends between insert and commit, "
        "and when its database cannot be reached for minutes",
        (
            f"{SINK}::test_a_sink_that_ends_between_insert_and_commit_inserts_nothing_twice",
            "prove/test_sink_outage.py::test_minutes_without_the_database",
        ),
        "there are no refreshable views yet",
    ),
    Promise(
        "A start is refused where offsets went back, the number of partitions changed, or a row, "
        "a position or a record is of a newer version",
        (
            "prove/test_upgrade.py::test_what_a_newer_version_wrote_is_refused",
            "agents/test_station.py::test_a_log_that_was_made_anew_or_cut_is_refused",
            "integration/test_topics.py::test_another_number_of_partitions_is_refused",
        ),
    ),
    Promise(
        "What the last commit's workers wrote is read by this commit's, in mid-stream",
        ("prove/test_upgrade.py::test_an_upgrade_in_mid_stream",),
        "a longer way back: UPGRADE_FROM names another commit, as far as rows have not changed",
    ),
    Promise(
        "No definition, pattern or value makes a step raise for more than its own event",
        ("streams/test_apply.py::test_a_step_that_raises_leaves_no_trace_but_a_dead_letter",),
        "the bound of 50 ms for a step; only the segment or flow that raises being set aside",
    ),
    Promise(
        "Two stores with the same identifiers share nothing; a client joins no people",
        (
            "scenarios/test_people.py::test_two_stores_share_nothing",
            "streams/identity/test_step.py::test_two_stores_share_no_profile_and_no_row",
            "scenarios/test_people.py::test_a_client_joins_no_two_people",
        ),
    ),
    Promise(
        "Who is erased gets nothing and enters nothing",
        ("scenarios/test_sends.py::test_an_erased_profile_gets_nothing_and_enters_nothing",),
        "that no personal data is left in tables, topics, ClickHouse and dead letters",
    ),
    Promise(
        "10,000 generated bad inputs among good ones: each rejected once with its reason, no good "
        "one lost, the worker never stops",
        ("prove/test_bad_inputs.py::test_ten_thousand_bad_inputs_stop_nothing",),
    ),
    Promise(
        "A broker whose disk is full acknowledges nothing that is not written; with room again "
        "everything goes on",
        ("prove/test_disk_full.py::test_a_full_disk_loses_and_doubles_nothing",),
        "Kafka itself ends when its only disk is full: somebody has to make room and start it "
        "(`up` starts it again by itself)",
    ),
    Promise(
        "On a cluster with SASL/SCRAM and ACLs the rights of docs/security.md are enough, and a "
        "publisher without the right one is refused",
        ("prove/test_sasl.py::test_each_may_do_what_it_needs_and_nothing_else",),
        "TLS; the sender's own rights",
    ),
)


def result(test: str, results: Results) -> str:
    """What came of a test when it was last run."""
    found = results.get(f"tests/{test}")
    if found is None:
        return NEVER if is_proof(test) else IN_MAKE_TEST
    runs = f" ({found['runs']} runs)" if found["runs"] > 1 else ""
    return f"{found['outcome']}{runs}"


def is_proof(test: str) -> bool:
    """Whether only `make prove` runs it."""
    file, _, name = test.partition("::")
    text = (CHECKOUT / "tests" / file).read_text()
    return "pytestmark = [pytest.mark.prove" in text or "mark.prove" in decorators(text, name)


def decorators(text: str, name: str) -> str:
    """The lines above a function, back to the last empty one."""
    return text[: text.index(f"def {name}(")].rpartition("\n\n")[2]


def page(results: Results) -> str:
    """The page."""
    rows = []
    for promise in PROMISES:
        proofs = "<br>".join(f"`{test}`: {result(test, results)}" for test in promise.tests)
        rows.append(f"| {promise.promise} | {proofs} | {promise.open} |")
    return (
        "# What is promised, and what proves it\n\n"
        "Made by `python -m tests.prove.promises` from the outcomes that `make prove` keeps\n"
        "([proof/results.json](proof/results.json)). Tests are below `tests/`.\n\n"
        "`make prove` runs the long ones, `make prove ONLY=faults` those with a word in their "
        "name. What is drawn by\nchance is drawn from a seed that the test's name shows; "
        "`make prove ONLY=faults SEED=7` repeats it. Instants of faults\nare chosen by the seed; "
        "what the processes are doing at them is up to the machine.\n\n"
        "| promise | proved by, and its last result | not yet proved |\n|---|---|---|\n"
        + "\n".join(rows)
        + "\n\n`make soak MINUTES=20` runs the live pipeline at half of the rate that it finds out "
        "first, and writes down memory, lag\nand latency: [proof/soak.csv](proof/soak.csv), "
        "[proof/soak.svg](proof/soak.svg).\n"
    )


def main() -> None:
    """Write the page."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    PAGE.write_text(page(results), encoding="utf-8")


if __name__ == "__main__":
    main()
