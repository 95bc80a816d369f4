"""Verilog of macros from the command line."""

import re

from hw.synapse.crossbar.__main__ import main


def test_three_forms_have_the_same_ports(tmp_path, capsys):
    for folder in ("first", "again"):
        assert main(["--outputs", "2", "--out", str(tmp_path / folder)]) == 0
    texts = {}
    for path in (tmp_path / "first").iterdir():
        texts[path.stem] = path.read_text()
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
    assert set(texts) == {"ideal_serial", "ideal_behaviour", "ideal_stub"}
    head = re.search(r"module firstspike_crossbar \((.*?)\n\);", texts["ideal_stub"], re.DOTALL)
    declared = re.findall(r"(input|output) (\[\d+:0\])? ?(\w+)", head.group(1))
    for direction, width, name in declared:
        form = " ".join(part for part in (direction, width, name) if part)
        assert re.search(rf"^  {re.escape(form)};", texts["ideal_serial"], re.MULTILINE), form
    assert len(declared) == 18


def test_refusals(tmp_path, capsys):
    assert main(["--device", "foo", "--out", str(tmp_path)]) == 2
    assert "There is no preset 'foo'; choose ideal, matterhorn, ye2023." in capsys.readouterr().err
    assert main(["--device", "matterhorn", "--outputs", "3", "--out", str(tmp_path)]) == 2
    assert "outputs must be a multiple of 8 columns per converter" in capsys.readouterr().err
