"""``taichi-bokeh dfd table``: from scenes to tables, plots and pictures, in one command that can be stopped."""

from taichi_bokeh.apps.cli import main

SMALL = ["--scenes", "1", "--size", "32", "--rays", "8", "--retrace-rays", "8", "--steps", "2", "--pictures", "2", "--quiet"]


def table(*words):
    return main(["dfd", "table", *map(str, words)])


def test_one_command_makes_scenes_table_plots_and_pictures(tmp_path, capsys):
    out = tmp_path / "table"
    assert table("--out", out, "--methods", "sweep,ours", *SMALL) == 0
    assert len(list((out / "scenes").rglob("*.npz"))) == 2  # one focused near, one far
    assert (out / "summary.md").read_text().count("plane sweep") == 1
    assert len(list((out / "pictures").glob("*.png"))) == 2
    assert (out / "report.html").read_text().count("<svg") == 2
    before = {path: path.stat().st_mtime_ns for path in (out / "found").rglob("*.npz")}
    capsys.readouterr()
    assert table("--out", out, "--methods", "sweep,ours,disc", *SMALL[:-1]) == 0
    text = capsys.readouterr().out
    assert "| scatter, disc, L1 + G | 2 |" in text
    assert "RMSE / plane sweep + SGM" in text
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_the_methods_are_listed(capsys):
    assert table("--list-methods") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[0] == "planes"
    assert any(line.startswith("ours-two-layers") for line in lines)


def test_what_is_wrong_is_said_in_one_line(tmp_path, capsys):
    def error(*words):
        assert table(*words) == 2
        return capsys.readouterr().err

    assert "--out is missing" in error()
    assert "method is 'best'; expected one of" in error("--out", tmp_path / "a", "--methods", "best")
    assert not (tmp_path / "a").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    assert "holds files of something else" in error("--out", tmp_path / "mine", "--methods", "sweep")
    assert "--scenes has no meaning with --data" in error("--out", tmp_path / "b", "--data", tmp_path, "--scenes", "3")
