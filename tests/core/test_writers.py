"""Who wrote a key last: what every record carries on, and what that proves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.jetstream.records import EXPECTED, MESSAGE_ID
from streams.jetstream.writers import HEADER, MAX_WRITERS, NOBODY, Writers, header, writers_in


def record(writers: Writers, operation: str, expected: int) -> dict[str, str]:
    """The headers of a record that `operation` puts over the one of `writers`."""
    headers = {MESSAGE_ID: operation, EXPECTED: str(expected)}
    since, others = writers.before(operation)
    if (text := header(since, others, expected)) is not None:
        headers[HEADER] = text
    return headers


def written(*operations: str) -> Writers:
    """After these were written one after the other, from revision 1 on."""
    writers = NOBODY
    for expected, operation in enumerate(operations):
        writers = writers_in(record(writers, operation, expected), expected + 1)
    return writers


def test_the_last_write_of_every_process_is_known():
    writers = written("a.1", "b.1", "a.2", "c.1", "a.3")

    assert [writers.revision_of(operation) for operation in ("a.3", "b.1", "c.1")] == [5, 2, 4]
    assert writers.revision_of("a.2") is None
    assert writers.since == 0


def test_a_process_that_writes_alone_says_nothing_of_others():
    assert HEADER not in record(NOBODY, "a.1", 0)
    assert record(written("a.1"), "a.2", 1)[HEADER] == "0"


def test_of_too_many_the_oldest_is_forgotten_and_that_is_said():
    operations = [f"p{number}.1" for number in range(MAX_WRITERS + 2)]

    writers = written(*operations)

    assert writers.revision_of("p0.1") is None
    assert writers.revision_of("p1.1") == 2
    assert writers.since == 1


def test_of_another_programs_record_nothing_before_it_is_known():
    assert writers_in({}, 9) == Writers(9, None)
    assert writers_in({MESSAGE_ID: "x"}, 9) == Writers(9, None)
    assert writers_in({MESSAGE_ID: "x", EXPECTED: "8", HEADER: "1 nonsense"}, 9) == Writers(9, None)


@given(st.lists(st.integers(0, 11), min_size=1, max_size=60))
def test_what_a_record_says_of_a_write_is_so(processes: list[int]):
    """Of a write that is not named, and was decided upon a revision from `since` on, it says: not done."""
    done: dict[str, int] = {}
    counts: dict[int, int] = {}
    writers = NOBODY
    for expected, process in enumerate(processes):
        counts[process] = counts.get(process, 0) + 1
        operation = f"p{process}.{counts[process]}"
        writers = writers_in(record(writers, operation, expected), expected + 1)
        done[operation] = expected + 1

    for process, count in counts.items():
        last = f"p{process}.{count}"
        found = writers.revision_of(last)
        assert found in (done[last], None)
        # It was decided upon the revision before it, or an older one.
        assert found is not None or writers.since > done[last] - 1
        # The next one of this process was never done, and nothing says that it was.
        assert writers.revision_of(f"p{process}.{count + 1}") is None
