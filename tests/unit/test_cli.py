"""The command line: what a user can get wrong is one sentence and exit code 2."""

import json

import numpy as np
import pytest

from sw import cli
from sw.convert.container import load
from sw.convert.convert import convert
from sw.convert.regroup import regroup
from sw.load.gguf import load_gguf
from sw.models import bundled_model


@pytest.fixture(scope="module")
def container(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    convert(load_gguf(bundled_model())).save(path)
    return path


LONG = "It is a truth universally acknowledged. " * 60

BAD = {
    "no such command": (["frobnicate"], "there is no command 'frobnicate'"),
    "no such option": (["generate", "--nope"], "No such option: --nope"),
    "missing model": (["generate", "nowhere.gguf"], "no checkpoint nowhere.gguf"),
    "negative tokens": (["generate", "--tokens", "-3"], "--tokens must be at least 1, not -3"),
    "tokens not a number": (["generate", "--tokens", "x"], "--tokens"),
    "unknown backend": (["generate", "--backend", "gpu"], "backend must be one of golden, rtl"),
    "unknown table": (["generate", "--code", "morse"], "code table must be one of ttfs8, ttfs"),
    "softmax table": (["generate", "--code", "octave"], "code table must be one of ttfs8, ttfs"),
    "unknown configuration": (["generate", "--config", "huge"], "must be one of mac8, "),
    "unknown integrator": (["verify", "--integrator", "sponge"], "one of mac, spike, not"),
    "stream without a core": (["generate", "--stream"], "a core that makes tokens by itself"),
    "stream of products": (["generate", "--stream", "--backend", "rtl"], "add --backend rtl and"),
    "link of nothing": (["generate", "--link", "4"], "how fast layers come with --stream; add"),
    "no serial port": (["generate", "--backend", "serial"], "name the board's serial port with --"),
    "another serial port": (
        ["generate", "--backend", "serial", "--port", "/dev/nothing"],
        "there is no serial port /dev/nothing; plug the board in, or name another with --port",
    ),
    "port of a model": (["generate", "--port", "/dev/x"], "of a board; add --backend serial, or"),
    "board of products": (
        ["generate", "--backend", "serial", "--config", "mac8"],
        "a board makes whole tokens from its own memory; leave --vector and --stream out, and",
    ),
    "board of products, simulated": (["board-sim", "--config", "mac8"], "runs no tokens by itself"),
    "board with too little memory, simulated": (
        ["board-sim", "--config", "mac16-token"],
        "block RAMs of the 208 of ulx3s-85f; the nearest that fits is ulx3s",
    ),
    "board with too few cells, simulated": (
        ["board-sim", "--config", "ulx3s", "--board", "ulx3s-45f"],
        "and no other fits; choose another board: ulx3s-85f or ecpix5-85f",
    ),
    "board of no configuration": (["board-sim", "--config", "ulx"], "must be one of mac8,"),
    "board of no name": (["board-sim", "--board", "de1"], "no board 'de1' to simulate; choose one"),
    "board of a vendor": (["board-sim", "--board", "arty-a7-100t"], "'arty-a7-100t' to simulate"),
    "too much damage": (["board-sim", "--damage", "2"], "must be a share from 0 to 1, not 2"),
    "memory of a model": (["generate", "--memory", "dram"], "of a memory in RTL, not of golden"),
    "memory on chip": (["verify", "--memory", "dram"], "this configuration has none of"),
    "long prompt": (["generate", "--prompt", LONG], "the model's context is 256; shorten it"),
    "no room": (["generate", "--tokens", "300"], "leaves room for"),
    "empty prompt": (["generate", "--prompt", ""], "the prompt is empty"),
    "temperature": (["generate", "--temperature", "-1"], "temperature must be 0 or more"),
    "top-p": (["generate", "--top-p", "0"], "top-p must be above 0"),
    "seed": (["generate", "--seed", "-1"], "seed must be 0 or more"),
    "no chat": (["generate", "--chat"], "has no chat template"),
    "json folder": (["generate", "--tokens", "1", "--json", "no/x"], "cannot write no/x"),
    "prompt and text": (["verify", "--prompt", "a", "--text", "b"], "not both"),
    "missing text": (["verify", "--text", "nowhere.txt"], "no file nowhere.txt"),
    "unknown novel": (["eval", "--text", "novels/ulysses"], "no novel 'ulysses'"),
    "long window": (["eval", "--window", "999", "--text", "TEXT"], "context is 256"),
    "rungs": (["eval", "--rungs", "ladder", "--text", "TEXT"], "rungs are float, fake, golden"),
    "layer": (["verify", "--layer", "77"], "--layer must be 0..4"),
    "fault seed": (["verify", "--inject-fault", "-1"], "seed of 0 or more"),
    "output folder": (["convert", "-o", "no/where"], "there is no folder no"),
    "from": (["eval", "--from", "-1", "--text", "TEXT"], "--from must be 0 or more"),
    "nothing to fetch": (["fetch", "gpt-5"], "fetch knows smollm2-135m, novels"),
    "image": (["verify", "--image", "TEXT"], "not a device image"),
    "position": (["plan", "--position", "-1"], "--position must be 0 or more, not -1"),
    "position and context": (["plan", "--position", "9999"], "--position must be 0..255, as"),
    "prompt": (["plan", "--prompt", "0"], "--prompt must be 1 or more, not 0"),
    "prompt and context": (["plan", "--prompt", "9999"], "--prompt must be 1..256, as"),
    "sentence of a decoder": (["plan", "--tokens", "9"], "--tokens is for encoders; leave it out"),
    "clock": (["plan", "--mhz", "0"], "--mhz must be above 0, not 0"),
    "memory timing": (["plan", "--memory", "slow"], "a memory is ideal, dram or name=number"),
    "no vector memory": (["plan", "--config", "mac8"], "configuration mac8 has no vector memory"),
    "budget": (["convert", "--budget", "few"], "--budget must be a share such as 1% or 0.01"),
    "budget and silence": (
        ["convert", "--budget", "1%", "--silence", "ffn_down=1"],
        "a plan chooses thresholds itself; leave --silence SITE=SCALES out",
    ),
    "budget and silent": (
        ["convert", "--budget", "1%", "--silence", "0.2"],
        "--budget and --silence SHARE are two ways to plan; give one",
    ),
    "short plan": (
        ["convert", "--budget", "1%", "--calibrate", "TEXT", "--tokens", "9"],
        "a plan needs three windows of 256; raise --tokens",
    ),
    "rows": (["convert", "--rows", "64"], "--rows must be one of 32, 256, not 64"),
    "plan of tall arrays": (
        ["convert", "--budget", "1%", "--rows", "256"],
        "a plan is for scales of 32 inputs; leave --rows 256 out",
    ),
    "remapped memory": (
        ["eval", "--remap", "--text", "TEXT"],
        "--remap is for crossbars; add --synapse crossbar",
    ),
    "remapped silence": (
        "eval --remap --text TEXT --tokens 8 --window 8 --synapse crossbar --code ttfs".split(),
        "--remap needs a table whose silence is zero, such as companded, not ttfs",
    ),
    "objective": (
        ["convert", "--budget", "1%", "--calibrate", "TEXT", "--objective", "beauty"],
        "--objective must be one of energy, bytes, cycles, events, not 'beauty'",
    ),
    "row": (["compare", "--only", "best", "--text", "TEXT"], "--only takes float, w4a8, "),
    "compared window": (
        ["compare", "--window", "999", "--text", "TEXT"],
        "--window must be 2..256",
    ),
    "technology": (["energy", "--technology", "7nm"], "technology must be one of 22nm, 45nm, "),
    "no constant": (
        ["energy", "--technology", "ye2023"],
        "no constant 'move', and none is guessed",
    ),
    "macro without crossbars": (
        ["energy", "--macro", "ye2023"],
        "--macro is for crossbars; add --synapse crossbar",
    ),
    "claims on crossbars": (
        ["energy", "--claims", "--synapse", "crossbar"],
        "--claims chooses what it compares itself",
    ),
    "power of a device": (
        ["crossbar", "energy", "--device", "matterhorn"],
        "no source says what power device 'matterhorn' draws, and none is guessed; name a file",
    ),
    "power of another macro": (
        ["energy", "--synapse", "crossbar", "--device", "ideal", "--macro", "ye2023"],
        "that of 32 rows of mapping 'planes', and nothing is known of 32 rows of 'pair'",
    ),
    "macro of a map": (
        ["crossbar", "map", "--macro", "ye2023"],
        "--macro is for energy, not for map",
    ),
    "where weights are": (["energy", "--memory", "tape"], "--memory must be sram or dram"),
    "no run": (["report", "."], "holds no run; write one with"),
    "counting": (["report", ".", "--counting", "up"], "--counting must be one of synapse, broadc"),
    "events file": (["generate", "--dump-events", "e.txt"], "ends in .npz or .csv, not 'e.txt'"),
    "events of tokens": (
        ["generate", "--backend", "rtl", "--config", "mac8-token", "--run", "r"],
        "add --vector host, or leave",
    ),
    "unknown task": (["train", "sentiment"], "train knows the task polarity, not 'sentiment'"),
    "two dead zones": (["train", "polarity", "--dead-zone", "1", "--silence", "0.5"], "not both"),
    "dead zone": (["train", "polarity", "--dead-zone", "-1"], "--dead-zone must be 0..31, not -1"),
    "silence": (["train", "polarity", "--silence", "1.5"], "--silence must be between 0 and 1"),
    "epochs": (["train", "polarity", "--epochs", "0"], "--epochs must be above 0, not 0"),
    "train seed": (["train", "polarity", "--seed", "-1"], "--seed must be 0 or more, not -1"),
    "train folder": (["train", "polarity", "-o", "no/x"], "there is no folder no"),
    "train a decoder": (["train", "polarity", "--model", "bundled"], "bundled is no encoder"),
    "task of eval": (["eval", "minilm", "--task", "x"], "--task must be one of polarity, not 'x'"),
    "task of nothing": (["eval", "--task", "polarity"], "needs a model that `firstspike train"),
    "weights": (["convert", "--weights", "w3"], "--weights must be w4 or w8, not 'w3'"),
    "foreign model": (["generate", "TEXT"], "not a Firstspike container"),
}


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.replace(" ", "-"))
def test_bad_input_is_one_sentence(case, run, tmp_path, monkeypatch):
    text = tmp_path / "text.txt"
    text.write_text("She was " * 400)
    monkeypatch.chdir(tmp_path)
    arguments, sentence = BAD[case]
    code, _, err = run(*[str(text) if a == "TEXT" else a for a in arguments])
    assert code == 2
    assert err.startswith("error: ") and err.count("\n") == 1
    assert sentence in err
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]


def test_help_names_every_command(run):
    code, out, _ = run("--help")
    assert code == 0 and all(name in out for name in cli.COMMANDS)
    for name in cli.COMMANDS:
        code, out, _ = run(name, "--help")
        assert code == 0 and f"firstspike {name}" in out


def test_generate_writes_json(run, tmp_path):
    path = tmp_path / "run.json"
    code, out, _ = run("generate", "--tokens", "5", "--json", str(path))
    assert code == 0
    written = json.loads(path.read_text())
    assert len(written["tokens"]) == 5
    assert out == "She was" + written["text"] + "\n"
    counters = written["counters"]
    assert counters["cycles"] is None and counters["stalls"] is None
    assert min(counters[name] for name in ("spikes", "silent", "rows_read", "steps")) > 0
    assert counters["beats_read"] > counters["rows_read"]
    assert counters["window_steps"] > counters["steps"]
    assert {"config", "model", "seed", "wall_seconds", "build_seconds"} <= written.keys()


def test_json_on_standard_output_is_nothing_else(run):
    code, out, err = run("generate", "--tokens", "2", "--json", "-")
    assert code == 0 and len(json.loads(out)["tokens"]) == 2
    assert err.startswith("She was")


def test_plan(run, tmp_path):
    path = tmp_path / "plan.json"
    arguments = [
        "plan",
        "--memory",
        "dram",
        "--position",
        "2",
        "--prompt",
        "9",
        "--json",
        str(path),
    ]
    code, out, _ = run(*arguments)
    assert code == 0
    assert "MATVEC normed" in out and "position 2: " in out and "a dense decoder reads" in out
    plan = json.loads(path.read_text())
    assert plan["cycles"] == sum(kind["cycles"] for kind in plan["instructions"].values())
    assert 0.9 * plan["dense_bytes"]["codes"] < plan["bound_bytes"] < 2 * plan["bytes"]
    assert plan["prompt"]["tokens"] == 9 and plan["prompt"]["batch"] == 8
    assert plan["prompt"]["cycles"] > 3 * plan["cycles"]
    assert plan["prompt"]["bytes"] < 5 * plan["bytes"]
    assert plan["tokens_per_second"] == 1e8 / plan["cycles"]
    faster = json.loads(run("plan", "--position", "2", "--json", "-")[1])
    assert faster["cycles"] < plan["cycles"] and faster["bytes"] == plan["bytes"]


def test_container_and_checkpoint_generate_the_same(run, container):
    first = json.loads(run("generate", "--tokens", "4", "--json", "-")[1])
    second = json.loads(run("generate", str(container), "--tokens", "4", "--json", "-")[1])
    assert first["tokens"] == second["tokens"] and first["counters"] == second["counters"]


def test_sampling_follows_the_seed(run):
    def tokens(seed):
        arguments = ["--tokens", "12", "--temperature", "1.5", "--seed", str(seed), "--json", "-"]
        return json.loads(run("generate", *arguments)[1])["tokens"]

    assert tokens(1) == tokens(1) != tokens(2)


def test_every_linear_table_generates(run):
    for table in ("ttfs8", "ttfs", "mttfs", "signed8", "signed16", "companded", "fp4", "integer"):
        code, out, _ = run("generate", "--tokens", "2", "--code", table, "--json", "-")
        assert code == 0 and json.loads(out)["table"] == table


def test_calibrated_conversion_keeps_integers_few(run, tmp_path):
    text = "tests/data/persuasion_excerpt.txt"
    path = tmp_path / "m.safetensors"
    code, out, _ = run("convert", "-o", str(path), "--calibrate", text, "--tokens", "512")
    assert code == 0 and "fitted to" in out
    code, out, _ = run("eval", str(path), "--text", text, "--tokens", "512", "--json", "-")
    result = json.loads(out)
    assert code == 0
    shares = result["shares"]["matrices"].values()
    assert max(share["integer"] for share in shares) < 0.06
    assert np.isfinite(list(result["perplexity"].values())).all()


def test_one_scale_for_the_rows_of_an_array(run, tmp_path):
    text = ["--calibrate", "tests/data/persuasion_excerpt.txt", "--tokens", "24"]
    path = tmp_path / "m.safetensors"
    code, _, _ = run("convert", "--rows", "256", "-o", str(path), *text)
    model = load(path)
    assert code == 0 and model.source["rows"] == 256
    assert regroup(model, 256) is model


def test_inspect_and_compile(run, container, tmp_path):
    code, out, _ = run("inspect", str(container))
    assert code == 0 and "layers.4.ffn_down" in out
    image = tmp_path / "image"
    code, out, _ = run("compile", str(container), "-o", str(image), "--config", "mac8-small")
    assert code == 0 and "is streamed through" in out
    code, _, err = run("verify", str(container), "--image", str(image), "--tokens", "1")
    assert code == 2 and "compiled for configuration" in err


def test_a_plan_is_kept_and_shown(run, tmp_path):
    path, model = tmp_path / "plan.json", tmp_path / "m.safetensors"
    text = ["--calibrate", "tests/data/persuasion_excerpt.txt", "--tokens", "300"]
    arguments = ["--silence", "0.25", "--code", "companded", "--objective", "events"]
    code, out, _ = run("convert", *text, *arguments, "-o", str(model), "--json", str(path))
    assert code == 0 and "code table companded, 16 steps" in out
    written, planned = json.loads(path.read_text()), load(model)
    assert written["chosen"] == written["points"][-1] and len(written["points"]) == 2
    assert written["chosen"]["silent"] > 0.2 > written["points"][0]["silent"]
    assert planned.source["plan"]["silent"] == 0.25
    thresholds = {tables["companded"].threshold for tables in planned.quantizers.values()}
    assert min(thresholds) == 4 and len(thresholds) > 3
