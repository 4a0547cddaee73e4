"""What the database itself sees of ownership: who had a run when, who was evicted, and what nobody may ever see.

Triggers write it down, so neither the engine nor the bodies are asked, and no instant is missed between two looks.
"""

from __future__ import annotations

from typing import Any

from evidence import Rows


def watch_owners(rows: Rows) -> None:
    """Begin to keep what `seen` tells."""
    rows.execute(_SQLITE if rows.is_sqlite else _POSTGRES)


def seen(rows: Rows, what: str) -> list[tuple[Any, ...]]:
    """What was seen of a kind, (number, run, executor, detail), in the order in which it happened.

    `claim`, `evicted`, `aside` (a run was set aside), `start` (one that a rate counts, with its queue and time); and if
    not all is well `foreign` (an outcome was recorded by a process that did not own the run) and `crowded` (a queue
    gave more slots than its limits allow).
    """
    return rows(f"select number, run, executor_id, detail from seen where what = '{what}' order by number")


# The executor of the run, and the very launch of it that is registered, must be the one that recorded the outcome.
_FOREIGN = """
insert into seen (what, run, executor_id, detail)
select 'foreign', new.run, w.executor_id, new.position || ' was recorded by launch ' || coalesce(new.incarnation, 0)
from pt_runs as w
where w.run = new.run
and not exists (select 1 from pt_executors as e where e.executor_id = w.executor_id and e.incarnation = new.incarnation)
"""
_CROWDED = """
insert into seen (what, run, executor_id, detail)
select
    'crowded', new.run, case when o.whose = 'all' then null else new.slot_executor end,
    q.name || ' has ' || count(*) || ' slots'
from pt_queues as q
join pt_runs as w on w.queue_name = q.name
cross join (select 'all' as whose union all select 'own') as o
where q.name = new.queue_name
and w.queue_name = new.queue_name
and w.completed_at_epoch_ms is null
and w.status <> 'ENQUEUED'
and w.slot_executor is not null
and (q.partitioned = 0 or w.queue_partition_key = new.queue_partition_key)
and (o.whose = 'all' or w.slot_executor = new.slot_executor)
group by q.name, q.partitioned, q.global_concurrency, q.worker_concurrency, o.whose
having count(*) > case
    when o.whose = 'own' then coalesce(q.worker_concurrency, 1000000)
    when q.partitioned = 1 then coalesce(q.global_concurrency, 1)
    else coalesce(q.global_concurrency, 1000000)
end
"""
_SEEN = "insert into seen (what, run, executor_id, detail) values"

_SQLITE = f"""
create table seen (number integer primary key autoincrement, what text, run bigint, executor_id text, detail text);
create trigger claim_seen after update of executor_id on pt_runs
when new.executor_id is not null and old.executor_id is not new.executor_id
begin {_SEEN} ('claim', new.run, new.executor_id, new.fence); end;
create trigger start_claim_seen after insert on pt_runs when new.executor_id is not null
begin {_SEEN} ('claim', new.run, new.executor_id, new.fence); end;
create trigger aside_seen after update of attention on pt_runs
when new.attention is not null and old.attention is null
begin {_SEEN} ('aside', new.run, old.executor_id, new.attention); end;
create trigger slot_seen after update of slot_executor on pt_runs
when new.slot_executor is not null and old.slot_executor is null
begin {_CROWDED}; end;
create trigger eviction_seen after insert on pt_past_executors when new.taken_by is not null
begin {_SEEN} ('evicted', null, new.executor_id, new.taken_by); end;
create trigger start_seen after insert on pt_queue_starts
begin {_SEEN} ('start', null, new.queue, new.started_ms); end;
create trigger outcome_seen after update of ended_at_epoch_ms on pt_steps
when new.ended_at_epoch_ms is not null and old.ended_at_epoch_ms is null
begin {_FOREIGN}; end;
create trigger new_outcome_seen after insert on pt_steps when new.ended_at_epoch_ms is not null
begin {_FOREIGN}; end;
"""


def _trigger(name: str, when: str, table: str, condition: str, body: str) -> str:
    return f"""
create function {name}() returns trigger language plpgsql as $$ begin {body}; return null; end $$;
create trigger {name} after {when} on {table} for each row when ({condition}) execute function {name}();
"""


_POSTGRES = "".join(
    [
        "create table seen (number bigserial primary key, what text, run bigint, executor_id text, detail text);",
        _trigger(
            "claim_seen",
            "update of executor_id",
            "pt_runs",
            "new.executor_id is not null and old.executor_id is distinct from new.executor_id",
            f"{_SEEN} ('claim', new.run, new.executor_id, new.fence)",
        ),
        _trigger(
            "start_claim_seen",
            "insert",
            "pt_runs",
            "new.executor_id is not null",
            f"{_SEEN} ('claim', new.run, new.executor_id, new.fence)",
        ),
        _trigger(
            "aside_seen",
            "update of attention",
            "pt_runs",
            "new.attention is not null and old.attention is null",
            f"{_SEEN} ('aside', new.run, old.executor_id, new.attention)",
        ),
        _trigger(
            "slot_seen",
            "update of slot_executor",
            "pt_runs",
            "new.slot_executor is not null and old.slot_executor is null",
            _CROWDED,
        ),
        _trigger(
            "eviction_seen",
            "insert",
            "pt_past_executors",
            "new.taken_by is not null",
            f"{_SEEN} ('evicted', null, new.executor_id, new.taken_by)",
        ),
        _trigger(
            "start_seen", "insert", "pt_queue_starts", "true", f"{_SEEN} ('start', null, new.queue, new.started_ms)"
        ),
        _trigger(
            "outcome_seen",
            "update of ended_at_epoch_ms",
            "pt_steps",
            "new.ended_at_epoch_ms is not null and old.ended_at_epoch_ms is null",
            _FOREIGN,
        ),
        _trigger("new_outcome_seen", "insert", "pt_steps", "new.ended_at_epoch_ms is not null", _FOREIGN),
    ]
)
