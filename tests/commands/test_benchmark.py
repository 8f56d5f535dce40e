"""benchmark: the table it prints on a CPU."""

from command_line import alexnet


def test_benchmark_prints_a_table(capsys):
    assert alexnet("benchmark", "--variant", "small", "--batch-size", "3", "--steps", "2") == 0
    out = capsys.readouterr().out
    assert "conv5" in out and "GFLOP/s" in out and "images/s" in out
