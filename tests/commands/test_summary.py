"""summary: the numbers it prints."""

from command_line import alexnet


def test_summary_prints_the_totals(capsys):
    assert alexnet("summary") == 0
    out = capsys.readouterr().out
    for number in ("60,965,224", "724,406,816", "659,272", "121,344", "62,369,155"):
        assert number in out
