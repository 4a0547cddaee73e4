"""The fifty defects of the Go library whose design Turbine follows, the rule that holds here, and who proves it.

A test that is named here would fail on the original's behaviour. What is checked below is that none of the fifty is
forgotten, and that each test is there and runs.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

import pytest

TESTS = Path(__file__).parents[1]


class Rule(NamedTuple):
    """What holds here, and the tests (`folder/file::test`) that would fail if it did not."""

    rule: str
    tests: tuple[str, ...]


RULES = {
    "D-01": Rule(
        "a failed step fails in a replay as it did live: type, message, attributes",
        ("runtime/test_step_errors::test_an_error_is_handled_alike_live_and_on_replay",),
    ),
    "D-02": Rule(
        "taking a message and recording the receive are one transaction; the deadline is stored at the first look",
        (
            "laws/test_deaths::test_a_death_at_any_write_changes_no_row",
            "runtime/test_messages::test_the_rest_of_a_timeout_counts_after_a_restart",
        ),
    ),
    "D-03": Rule(
        "the time at which a sleep ends is recorded before it begins",
        ("runtime/test_waits::test_crashes_in_the_middle_of_a_sleep_make_it_no_longer",),
    ),
    "D-04": Rule(
        "an interruption is never an outcome: the run stays PENDING and its attempt is not counted",
        (
            "runtime/test_shutdown::test_a_run_that_was_interrupted_stays_pending_and_goes_on_later",
            "runtime/test_shutdown::test_an_interrupted_step_runs_again_at_the_next_launch",
        ),
    ),
    "D-05": Rule(
        "a receive that runs out raises RecvTimeout, or gives the default that was asked for",
        ("runtime/test_messages::test_a_message_that_does_not_come_in_time_is_an_error_or_the_default",),
    ),
    "D-06": Rule(
        "a value that is read in a body is recorded; a reader listens before it looks",
        (
            "runtime/test_messages::test_a_run_reads_the_values_of_another_run_and_records_them",
            "runtime/test_messages::test_values_that_are_set_while_somebody_begins_to_wait_are_noticed",
        ),
    ),
    "D-07": Rule(
        "signals are hints: every loop knows when it is due next, and looks by itself",
        (
            "runtime/test_queues::test_a_backlog_of_many_batches_starts_without_another_signal",
            "runtime/test_queues::test_no_window_holds_more_starts_than_the_rate_allows",
            "laws/test_laws::test_l4_losing_every_wake_ends_in_the_same_rows",
        ),
    ),
    "D-08": Rule(
        "the rate counts starts, by the time that was written at the claim",
        (
            "runtime/test_queues::test_the_rate_counts_starts_whatever_becomes_of_the_runs",
            "runtime/test_queues::test_processes_whose_clocks_differ_keep_one_rate",
        ),
    ),
    "D-09": Rule(
        "a recovered run goes back to its own queue, with its priority and key, under the same limits",
        (
            "runtime/test_queues::test_a_recovered_run_keeps_its_queue_its_priority_and_its_key",
            "crash/test_queue_limits::test_three_processes_never_pass_the_limits_of_a_queue_also_when_one_is_killed",
        ),
    ),
    "D-10": Rule(
        "a run over its limit of recoveries becomes a dead letter, alone; the launch goes on",
        ("crash/test_dead_letters::test_a_run_that_kills_its_process_is_dead_lettered_alone",),
    ),
    "D-11": Rule(
        "any live process that knows the workflow adopts the runs of a dead one, whatever its id and version",
        (
            "runtime/test_replay::test_a_run_goes_on_under_another_version_and_another_executor",
            "crash/test_dead_letters::test_a_run_whose_workflow_nobody_knows_is_left_and_others_go_on",
        ),
    ),
    "D-12": Rule(
        "the version given to a start is kept, also through a queue",
        ("runtime/test_queues::test_a_version_given_to_a_queued_run_stays_when_it_is_claimed",),
    ),
    "D-13": Rule(
        "a timeout becomes a stored deadline at the first execution; its end is CANCELLED, reason timeout, and sticks",
        (
            "runtime/test_cancel::test_a_timeout_counts_from_the_first_execution_and_survives_a_restart",
            "runtime/test_cancel::test_a_run_that_takes_too_long_is_cancelled_with_the_reason_timeout",
            "runtime/test_cancel::test_a_body_that_ignores_its_timeout_has_no_result",
        ),
    ),
    "D-14": Rule(
        "cancelling ends waits and tasks at once; one event tells of it; every handle reads the stored outcome",
        (
            "runtime/test_cancel::test_cancel_interrupts_at_once_whatever_a_run_waits_for",
            "runtime/test_cancel::test_cancel_before_a_delayed_run_began",
            "runtime/test_webhooks::test_a_cancelled_run_is_announced_once_and_as_nothing_else",
        ),
    ),
    "D-15": Rule(
        "only what ended otherwise than well is resumed, ERROR too; a life before writes nothing any more",
        (
            "runtime/test_resume::test_what_needs_no_help_is_left_alone",
            "runtime/test_resume::test_only_the_step_that_ended_the_run_runs_again",
            "runtime/test_resume::test_a_resumed_run_takes_nothing_from_a_thread_of_its_life_before",
            "crash/test_ownership::test_a_process_stopped_past_its_lease_writes_nothing_when_it_goes_on",
        ),
    ),
    "D-16": Rule(
        "a run is claimed in one transaction, so it never has two executions",
        ("crash/test_many_processes::test_three_processes_killed_at_random_lose_nothing_and_run_nothing_twice",),
    ),
    "D-17": Rule(
        "a fork from any step works, with the old input or another one",
        (
            "runtime/test_fork::test_steps_before_the_position_are_copied_others_run",
            "runtime/test_fork::test_a_fork_may_have_another_input",
        ),
    ),
    "D-18": Rule(
        "a gate is a row of its own: reached in recovery it is shown, announced and can be decided",
        (
            "runtime/test_approvals::test_a_gate_that_is_reached_in_recovery_is_shown_announced_and_decided",
            "runtime/test_app_status::test_a_status_set_after_the_last_recorded_step_is_not_lost_in_recovery",
        ),
    ),
    "D-19": Rule(
        "an app status is written whoever has set the one before",
        ("runtime/test_app_status::test_a_body_may_say_again_what_a_step_has_changed",),
    ),
    "D-20": Rule(
        "the first decision of a gate counts, with who, when and why; afterwards the label is put back",
        (
            "runtime/test_approvals::test_a_second_decision_is_refused_and_not_kept_for_the_next_gate",
            "runtime/test_approvals::test_a_decision_reaches_the_run_with_who_when_and_comment",
            "runtime/test_approvals::test_the_status_tells_that_somebody_is_waited_for_and_is_put_back",
        ),
    ),
    "D-21": Rule(
        "garbage is judged by the end of a run, in small transactions, and goes with its files",
        (
            "runtime/test_garbage::test_runs_go_by_the_time_of_their_end",
            "runtime/test_garbage::test_a_negative_age_is_refused",
            "runtime/test_garbage::test_many_runs_go_in_small_transactions",
            "runtime/test_products::test_deleting_a_run_removes_its_products_with_their_bytes",
        ),
    ),
    "D-22": Rule(
        "every field of a status is filled, or None",
        (
            "runtime/test_status::test_every_field_of_a_finished_run_is_filled",
            "runtime/test_status::test_a_failed_run_says_what_failed",
            "runtime/test_status::test_an_open_run_has_no_end_yet",
            "journeys/test_seed_records::test_every_field_of_a_status_is_filled_after_real_runs",
        ),
    ),
    "D-23": Rule(
        "a result may be asked for any number of times",
        ("runtime/test_handles::test_a_result_may_be_asked_for_any_number_of_times",),
    ),
    "D-24": Rule(
        "what cannot be stored fails its step or its run with a clear error",
        (
            "runtime/test_types::test_a_result_that_cannot_be_stored_ends_the_run_in_error",
            "runtime/test_step_errors::test_an_output_that_cannot_be_stored_is_an_error_naming_the_step",
        ),
    ),
    "D-25": Rule(
        "a replay compares what is asked with what is recorded, and sets the run aside if they differ",
        ("runtime/test_replay::test_a_run_whose_code_changed_is_set_aside_and_goes_on_with_the_old_code",),
    ),
    "D-26": Rule(
        "children are recorded, linked to their parent, awaited as steps, and cancelled with it",
        (
            "runtime/test_children::test_children_are_recorded_and_found_again_on_replay",
            "runtime/test_cancel::test_children_are_cancelled_with_their_parent",
        ),
    ),
    "D-27": Rule(
        "a product is kept once and delivered with retries of its own, each with the bytes from their start",
        (
            "runtime/test_product_senders::test_a_product_that_finally_fails_can_be_sent_again",
            "runtime/test_product_senders::test_a_step_that_is_tried_again_sends_its_product_once",
            "runtime/test_product_senders::test_each_attempt_gets_the_bytes_anew",
            "runtime/test_product_senders::test_a_workflow_sender_starts_one_run_for_each_product",
        ),
    ),
    "D-28": Rule(
        "a tick starts one run, in the transaction that takes it; missed ticks are made up as the schedule says",
        (
            "crash/test_schedules::test_three_processes_start_each_tick_once_though_clocks_leap_over_both_changes_and_one_is_killed",
            "runtime/test_schedules::test_a_single_start_that_fails_is_kept_until_it_is_mended",
            "runtime/test_schedules::test_an_update_counts_from_now",
            "runtime/test_schedules::test_ticks_while_everything_was_down_are_made_up_as_the_schedule_says",
            "runtime/test_schedules::test_the_record_of_a_schedule_that_code_declares_no_more_goes",
        ),
    ),
    "D-29": Rule(
        "what goes out is written with what it announces, signed with id and time, and never sent inward by a name",
        (
            "crash/test_outbox::test_a_death_at_any_write_between_an_end_and_its_delivery_loses_nothing",
            "runtime/test_webhooks::test_the_body_is_signed_in_both_ways",
            "runtime/test_webhooks::test_a_name_that_leads_inward_is_refused_at_delivery",
        ),
    ),
    "D-30": Rule(
        "who waits in a queue and who runs are counted apart",
        ("http/test_figures::test_a_queue_counts_who_waits_and_who_runs_apart",),
    ),
    "D-31": Rule(
        "the calendar takes a tag as it is and counts open runs",
        ("http/test_figures::test_the_calendar_counts_open_runs_too_and_takes_a_tag_as_it_is",),
    ),
    "D-32": Rule(
        "the graph shows what followed what: it is recorded, not guessed from how close two times are",
        (
            "http/test_graph::test_quick_steps_one_after_another_are_a_chain",
            "http/test_graph::test_groups_side_by_side_follow_each_other_as_groups",
            "http/test_graph::test_a_run_that_was_cancelled_is_shown_as_cancelled",
            "http/test_runs::test_a_gate_is_seen_in_the_graph_and_decided_by_the_one_who_asks",
        ),
    ),
    "D-33": Rule(
        "whatever is committed, by whatever process, reaches open dashboards",
        (
            "http/test_stream::test_runs_and_lists_that_change_are_told",
            "http/test_stream::test_what_another_process_does_is_told_too",
        ),
    ),
    "D-34": Rule(
        "a shutdown has one budget, and a runtime may be launched again",
        (
            "runtime/test_shutdown::test_a_shutdown_has_one_budget_whoever_does_not_let_go",
            "runtime/test_runtime::test_a_runtime_may_be_launched_again_after_shutdown",
        ),
    ),
    "D-35": Rule(
        "one run of a key at a time is enforced, and a run without a key is refused",
        (
            "runtime/test_queues::test_a_partitioned_queue_carries_out_one_run_of_each_key_at_a_time",
            "runtime/test_queues::test_a_run_without_a_key_is_refused_by_a_partitioned_queue",
        ),
    ),
    "D-36": Rule(
        "a message to nobody is an error; messages keep their order, also within a millisecond",
        (
            "runtime/test_messages::test_a_message_to_an_unknown_run_is_refused",
            "runtime/test_messages::test_messages_of_one_millisecond_keep_their_order",
            "runtime/test_messages::test_a_message_to_a_finished_run_hurts_nobody",
        ),
    ),
    "D-37": Rule(
        "every call has a position of its own, whatever runs beside it",
        (
            "runtime/test_concurrency::test_plain_gather_of_steps_replays_right_whatever_order_they_end_in",
            "runtime/test_concurrency::test_branches_may_wait_for_different_things_while_the_run_is_out_of_memory",
        ),
    ),
    "D-38": Rule(
        "the documentation is executed",
        ("journeys/test_docs::test_a_block_of_the_documentation_runs_and_prints_what_it_says",),
    ),
    "D-39": Rule(
        "a deduplication id is scoped to its queue, without one to the name of its workflow",
        (
            "runtime/test_start::test_a_deduplication_id_admits_one_unfinished_run",
            "runtime/test_queues::test_a_deduplication_id_belongs_to_one_unfinished_run_of_its_queue",
        ),
    ),
    "D-40": Rule(
        "input from outside is validated before a row is written, and told with its paths",
        (
            "runtime/test_triggers::test_input_that_does_not_fit_is_refused_with_its_paths_and_leaves_no_row",
            "http/test_runs::test_wrong_input_is_refused_with_its_paths_and_no_row_is_written",
        ),
    ),
    "D-41": Rule(
        "who waits hears of other processes, looks by himself too, and as often as was asked",
        (
            "runtime/test_handles::test_who_hears_nothing_looks_as_often_as_was_asked",
            "runtime/test_handles::test_many_may_wait_for_one_run_in_several_processes",
        ),
    ),
    "D-42": Rule(
        "an unknown id is a 404, and an action says whether it changed anything",
        ("http/test_runs::test_cancel_and_resume",),
    ),
    "D-43": Rule(
        "joining a run writes nothing",
        ("runtime/test_start::test_joining_a_run_changes_nothing_of_it",),
    ),
    "D-44": Rule(
        "another input under the same id: the first wins, and a warning says so",
        ("runtime/test_start::test_another_input_under_the_same_id_is_ignored_with_a_warning",),
    ),
    "D-45": Rule(
        "each process start is an executor of its own with a lease, and every write is fenced",
        (
            "crash/test_ownership::test_a_second_process_never_runs_a_run_that_lives_in_the_first",
            "crash/test_ownership::test_a_process_stopped_past_its_lease_writes_nothing_when_it_goes_on",
            "runtime/test_runtime::test_two_runtimes_in_one_process_are_two_executors",
        ),
    ),
    "D-46": Rule(
        "attempts are stored and shown; a pause may be spent outside of memory; some errors are not tried again",
        (
            "runtime/test_step_retries::test_every_attempt_is_visible",
            "runtime/test_step_retries::test_the_count_of_attempts_survives_the_runtime",
            "runtime/test_step_retries::test_a_pause_between_attempts_may_be_spent_outside_of_memory",
            "runtime/test_step_retries::test_only_errors_that_are_named_and_agreed_to_are_tried_again",
            "unit/test_retry::test_the_first_wait_is_capped_too",
            "unit/test_retry::test_jitter_is_a_fraction_of_the_wait_in_both_directions",
        ),
    ),
    "D-47": Rule(
        "a waiting run is only rows, and gives its slot away where its queue says so",
        (
            "runtime/test_sleepers::test_six_thousand_sleeping_runs_cost_less_than_eighteen_megabytes_and_wake",
            "runtime/test_waits::test_parked_blocking_runs_give_their_threads_back",
            "runtime/test_queues::test_a_parked_run_keeps_its_slot_unless_the_queue_says_otherwise",
        ),
    ),
    "D-48": Rule(
        "no statement goes through a table that grows",
        (
            "store/test_statements::test_sqlite_understands_every_statement_and_scans_no_table_that_grows",
            "store/test_statements::test_postgres_understands_every_statement_and_scans_no_table_that_grows",
            "store/test_statements::test_a_hot_statement_uses_the_index_made_for_it",
        ),
    ),
    "D-49": Rule(
        "secrets and channel URLs are never given back, and are stored under the codec of the house",
        (
            "http/test_nouns::test_webhooks_never_tell_their_secrets",
            "runtime/test_alert_channels::test_keys_in_a_channels_url_are_in_no_record",
            "runtime/test_webhooks::test_secrets_and_outputs_pass_through_the_payload_codec",
        ),
    ),
    "D-50": Rule(
        "a schedule that could not start a run is refused when it is saved; a start that fails is shown",
        (
            "runtime/test_schedules::test_a_schedule_that_could_not_start_a_run_is_refused_when_it_is_saved",
            "runtime/test_schedules::test_a_start_that_fails_is_shown_and_the_schedule_goes_on",
        ),
    ),
}


def test_each_of_the_fifty_has_a_rule() -> None:
    assert [f"D-{number:02}" for number in range(1, 51)] == list(RULES)


@pytest.mark.parametrize("number", RULES)
def test_the_tests_that_prove_a_rule_are_there_and_run(number: str) -> None:
    rule = RULES[number]
    assert rule.rule
    assert rule.tests
    for node_id in rule.tests:
        path, _, name = node_id.partition("::")
        found = [node for node in functions_of(TESTS / f"{path}.py") if node.name == name]
        assert [name] == [node.name for node in found], f"{number}: there is no test {node_id}"
        marks = [ast.unparse(mark) for mark in found[0].decorator_list]
        assert not [mark for mark in marks if "slow" in mark or "skip" in mark or "xfail" in mark], (
            f"{number}: {node_id} is not run each time"
        )


def functions_of(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """What a file defines; of two functions with one name only the last would ever be run."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
