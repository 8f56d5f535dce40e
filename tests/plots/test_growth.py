"""The picture of how time and memory grow."""

from minigrad.plots import growth


def test_times_within_a_decade_have_several_marks(monkeypatch, tmp_path):
    """0.032 to 0.32 s holds one power of ten."""
    figures = []
    monkeypatch.setattr(growth, "save", lambda figure, path: figures.append(figure))
    points = [(16, 0.032, 77e6), (64, 0.096, 127e6), (256, 0.32, None)]
    growth.draw({"a side": points}, {"a side": ((0.02, 0.001), None)}, "training step", tmp_path / "growth.png")
    times = figures[0].axes[0]
    low, high = times.get_ylim()
    marks = [float(label.get_text()) for label in times.get_yticklabels() if low <= label.get_position()[1] <= high]
    assert marks == [0.05, 0.1, 0.2]
