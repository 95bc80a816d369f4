"""The command that writes constraints."""

from tools import constraints


def test_stale_files_are_found_and_mended(tmp_path, capsys):
    assert constraints.main(["--check"], tmp_path) == 1
    assert "ulx3s-85f.lpf is stale; run `make docs`" in capsys.readouterr().out
    assert constraints.main([], tmp_path) == 0
    assert constraints.main(["--check"], tmp_path) == 0
    (tmp_path / "arty-a7-100t.xdc").write_text("old")
    assert [path.name for path in constraints.stale(tmp_path)] == ["arty-a7-100t.xdc"]
