"""Ledger: every cell's word arrives, and the folder goes."""

from syneff import ledger


def test_words_are_read_sorted_and_forgotten(tmp_path):
    folder = tmp_path / ".run"
    for outcome in (
        ledger.Outcome("b", "failed", "why"),
        ledger.Outcome("a,seed=1", "done"),
        ledger.Outcome("a", "skipped"),
    ):
        ledger.note(folder, outcome)
    ledger.note(folder, ledger.Outcome("a", "done"))
    assert ledger.outcomes(folder) == [
        ledger.Outcome("a", "done"),
        ledger.Outcome("a,seed=1", "done"),
        ledger.Outcome("b", "failed", "why"),
    ]
    ledger.forget(folder)
    assert not folder.exists()
    assert ledger.outcomes(folder) == []
