"""Verilog of a macro for other flows: its behaviour, and a stub (``docs/crossbar.md`` §9)."""

from __future__ import annotations

from amaranth.hdl import Shape
from amaranth.lib.wiring import In

from hw.spec.crossbar import (
    CELL_MAX,
    DRIFT_FRACTION,
    FRACTION,
    GAIN_FRACTION,
    READ_KIND,
    SQUARE_SHIFT,
    STUCK_KEY,
    TAPS,
    WIRE_FRACTION,
    Crossbar,
    UniformConverter,
)
from hw.spec.noise import (
    AMPLITUDE_FRACTION,
    DIGEST_ROTATION,
    GAUSS_MEAN,
    INJECT,
    LINE_WORDS,
    PARITY,
    ROTATIONS,
    ROUNDS,
)
from hw.synapse.crossbar.macro import (
    VALUE_WIDTH,
    CrossbarMacro,
    cell_places,
    codes_layout,
    converters,
    macro_signature,
    program_layout,
)

#: Name of the module.
MODULE = CrossbarMacro.module


def _ports(crossbar: Crossbar, outputs: int, *, held: bool) -> str:
    """Declare the ports; with ``held`` outputs are registers."""
    signature = macro_signature(crossbar, outputs)
    lines = ["input clk", "input rst"]
    for path, member, _ in signature.flatten(signature.create()):
        name, width = "__".join(map(str, path)), Shape.cast(member.shape).width
        kind = "input" if member.flow is In else ("output reg" if held else "output")
        lines.append(f"{kind} [{width - 1}:0] {name}" if width > 1 else f"{kind} {name}")
    return ",\n    ".join(lines)


def stub(crossbar: Crossbar, outputs: int) -> str:
    """Verilog of an empty module with the macro's ports, for tools that leave a place for it."""
    return (
        f"(* blackbox *)\nmodule {MODULE} (\n    {_ports(crossbar, outputs, held=False)}\n);\n"
        "endmodule\n"
    )


def behaviour(crossbar: Crossbar, outputs: int) -> str:
    """Verilog that behaves as the macro does, all columns at once; for simulation only."""
    device, mapping, rows = crossbar.device, crossbar.cells, crossbar.rows
    places = cell_places(crossbar, outputs)
    word = sum(place.outputs for place in places)
    readings, served = len(mapping.readings), crossbar.columns_per_converter
    count = converters(crossbar, outputs)
    low, high = device.stuck_limits
    program = _fields(program_layout(crossbar, outputs), "program__payload")
    codes = codes_layout(crossbar, outputs)
    pulses = device.pulses if device.programming_amplitude else 1
    rounds = "\n".join(_round(number) for number in range(ROUNDS))
    lines = "\n".join(
        f"      9'd{256 * p + r}: line_word = 32'd{LINE_WORDS[p][r]};"
        for p in range(2)
        for r in range(rows)
    )
    amplitudes = "\n".join(
        f"      16'd{(r << 10) + n}: amplitude = {a};"
        for r, table in enumerate(crossbar.read_amplitudes)
        for n, a in enumerate(table)
        if a
    )
    largest = " : ".join(
        f"cell_number == {kind} ? {cell.largest << FRACTION}"
        for kind, (_, _, cell) in enumerate(mapping.cells)
    )
    index = " : ".join(
        f"cell_number == {kind} ? {p.first}" + (" + output_number" if p.outputs > 1 else "")
        for kind, p in enumerate(places)
    )
    return f"""
module {MODULE} (
    {_ports(crossbar, outputs, held=True)}
);
  function automatic [63:0] sample(input [31:0] key, input [31:0] c0, input [31:0] c1);
    reg [31:0] a, b, seed, parity;
    begin
      seed = 32'd{crossbar.seed};
      parity = 32'd{PARITY} ^ seed ^ key;
      a = c0 + seed;
      b = c1 + key;
{rounds}
      sample = {{b, a}};
    end
  endfunction

  function automatic signed [63:0] deviate(input [63:0] words);
    integer k;
    begin
      deviate = -{GAUSS_MEAN};
      for (k = 0; k < 8; k = k + 1) deviate = deviate + $signed({{56'd0, words[8 * k +: 8]}});
    end
  endfunction

  function automatic [31:0] line_word(input [8:0] line);
    case (line)
{lines}
      default: line_word = 0;
    endcase
  endfunction

  function automatic signed [63:0] amplitude(input [15:0] place);
    case (place)
{amplitudes or "      16'd65535: amplitude = 0;"}
      default: amplitude = 0;
    endcase
  endfunction

{_convert(crossbar)}
  reg [12:0] cells [0:{rows * crossbar.polarities * word - 1}];
  reg signed [63:0] parts [0:{TAPS - 1}];
  reg signed [63:0] held [0:{2 * readings * outputs - 1}];
  reg [31:0] digest, key;
  reg [15:0] waits;
  reg signed [63:0] target, written, total, squares, running, current;
  reg [63:0] draw;
  reg near;
  integer n, row, second, phase, output_number, cell_number, level, at, t, q, used;
  integer raised [0:1];
  integer turn, now_reading, now_phase, last_phase;
  reg active, showing, emits;

  always @(posedge clk) begin
    acknowledge <= 0;
    sampled <= 0;
    valid <= 0;
    emits = 0;
    if (opens) digest = 0;
    if (rst) begin
      active = 0; showing = 0; digest = 0; program__ready <= 0; busy <= 0;
    end else if (active) begin
      if (waits != 0) waits = waits - 1;
      else begin
        active = 0;
        sampled <= 1;
        showing = raised[0] != 0 || raised[1] != 0;
        turn = 0; now_reading = 0; now_phase = raised[0] != 0 ? 0 : 1;
        last_phase = raised[1] != 0 ? 1 : 0;
      end
    end else if (showing) begin
      for (q = 0; q < {count}; q = q + 1)
        codes[{VALUE_WIDTH} * q +: {VALUE_WIDTH}] <= convert(
            held[(now_phase * {readings} + now_reading) * {outputs} + q * {served} + turn]);
{_tags(codes, served, readings)}
      valid <= 1;
      emits = 1;
      turn = turn + 1;
      if (turn == {served}) begin
        turn = 0;
        now_reading = now_reading + 1;
        if (now_reading == {readings}) begin
          now_reading = 0;
          if (now_phase == last_phase) showing = 0;
          now_phase = 1;
        end
      end
    end else if (program__valid && program__ready) begin
{program}
      target = level << {FRACTION};
      if (target < {device.off}) target = {device.off};
      near = 0;
      used = 0;
      for (n = 0; n < {pulses}; n = n + 1)
        if (!near) begin
          draw = sample(n, {{matrix, 16'd0}} | ((array * {rows} + row) & 32'hffff),
                        ((2 * cell_number + second) << 24)
                        | ((column + output_number) & 32'hffffff));
          written = target + ((deviate(draw) * {device.programming_amplitude}
                    + {1 << AMPLITUDE_FRACTION - 1}) >>> {AMPLITUDE_FRACTION});
          if (written < 0) written = 0;
          if (written > {CELL_MAX}) written = {CELL_MAX};
          near = (written > target ? written - target : target - written)
                 <= {device.tolerance_units};
          used = n + 1;
        end
      written = (written * {device.drift_factor} + {1 << DRIFT_FRACTION - 1}) >>> {DRIFT_FRACTION};
      draw = sample({STUCK_KEY}, {{matrix, 16'd0}} | ((array * {rows} + row) & 32'hffff),
                    ((2 * cell_number + second) << 24) | ((column + output_number) & 32'hffffff));
      if ({{32'd0, draw[31:0]}} < 64'd{high})
        written = {{32'd0, draw[31:0]}} < 64'd{low} ? {device.off} : ({largest} : 0);
      cells[(second * {rows} + row) * {word} + ({index} : 0)] = written[12:0];
      pulses <= used;
      verified <= near;
      acknowledge <= 1;
      program__ready <= 0;
    end else if (integrate) begin
      raised[0] = 0; raised[1] = 0;
      for (row = 0; row < {rows}; row = row + 1)
        for (second = 0; second < 2; second = second + 1)
          if (lines[second * {rows} + row]) begin
            digest = digest ^ line_word(second * 256 + row);
            phase = {"second" if crossbar.phases == 2 else "0"};
            raised[phase] = raised[phase] + 1;
          end
      key = digest;
      if (raised[0] != 0 || raised[1] != 0)
        digest = {{digest[{31 - DIGEST_ROTATION}:0], digest[31:{32 - DIGEST_ROTATION}]}};
      for (phase = 0; phase < {crossbar.phases}; phase = phase + 1)
        for (output_number = 0; output_number < {outputs}; output_number = output_number + 1) begin
{_readings(crossbar, places, word, outputs)}
        end
      active = 1;
      waits = {crossbar.access - 1};
    end
    program__ready <= !active && !showing && !acknowledge && !(program__valid && program__ready)
                      && !integrate;
    busy <= active || showing || emits;
  end
endmodule
"""


def _round(number: int) -> str:
    left = ROTATIONS[number % len(ROTATIONS)]
    text = f"      a = a + b; b = {{b[{31 - left}:0], b[31:{32 - left}]}} ^ a;"
    if number % INJECT == INJECT - 1:
        turn = number // INJECT + 1
        keys = ("seed", "key", "parity")
        text += f" a = a + {keys[turn % 3]}; b = b + {keys[(turn + 1) % 3]} + {turn};"
    return text


def _fields(layout, payload: str) -> str:
    names = {"output": "output_number", "cell": "cell_number"}
    text = ""
    for name, field in layout:
        stop = field.offset + field.width - 1
        value = f"{payload}[{stop}:{field.offset}]" if field.width > 1 else f"{payload}[{stop}]"
        text += f"      {names.get(name, name)} = {value};\n"
    return text.rstrip("\n")


def _tags(layout, served: int, readings: int) -> str:
    values = {
        "turn": "turn",
        "reading": "now_reading",
        "phase": "now_phase",
    }
    text = []
    for name, field in layout:
        place = f"codes[{field.offset} +: {field.width}]"
        if name in values:
            text.append(f"      {place} <= {values[name]};")
        elif name == "last":
            ends = f"turn == {served - 1} && now_reading == {readings - 1}"
            text.append(f"      {place} <= {ends} && now_phase == last_phase;")
    return "\n".join(text)


def _convert(crossbar: Crossbar) -> str:
    converter, bipolar = crossbar.converter, crossbar.cells.readings[0].signed
    head = "  function automatic signed [15:0] convert(input signed [63:0] current);\n"
    if not isinstance(converter, UniformConverter):
        return head + (
            f"    convert = (current + {1 << FRACTION - 1}) >>> {FRACTION};\n  endfunction\n"
        )
    low, high = converter.range(bipolar)
    half = converter.step >> 1 if converter.nearest else 0
    shift = 1 << 40  # Verilog divides toward 0
    return (
        head
        + f"""    reg signed [63:0] x;
    begin
      x = ((current * {converter.gain} + {1 << GAIN_FRACTION - 1}) >>> {GAIN_FRACTION});
      x = (x + {converter.offset + half} + 64'sd{shift * converter.step}) / {converter.step}
          - 64'sd{shift};
      if (x < {low}) x = {low};
      if (x > {high}) x = {high};
      convert = x * {converter.value};
    end
  endfunction
"""
    )


def _readings(crossbar: Crossbar, places, word: int, outputs: int) -> str:
    """Currents of all readings of an output in a phase."""
    rows, text = crossbar.rows, ""
    numbers = {}
    for kind, (r, c, cell) in enumerate(crossbar.cells.cells):
        numbers.setdefault((r, c), []).append((kind, cell))
    for r, reading in enumerate(crossbar.cells.readings):
        text += "          current = 0;\n"
        for c, line in enumerate(reading.columns):
            terms = " + ".join(
                f"{cell.radix} * $signed({{51'd0, cells[at + {places[kind].first}"
                + (" + output_number" if places[kind].outputs > 1 else "")
                + "]})"
                for kind, cell in numbers[r, c]
            )
            at = "second" if crossbar.polarities == 2 else "0"
            shown = "1" if crossbar.phases == 1 else "second == phase"
            text += f"""          for (t = 0; t < {TAPS}; t = t + 1) parts[t] = 0;
          for (row = 0; row < {rows}; row = row + 1)
            for (second = 0; second < 2; second = second + 1)
              if (lines[second * {rows} + row] && ({shown})) begin
                at = ({at} * {rows} + row) * {word};
                parts[row / {rows // TAPS}] = parts[row / {rows // TAPS}] + {terms};
              end
          running = 0; squares = 0;
          for (t = 0; t < {TAPS}; t = t + 1) begin
            running = running + parts[t];
            squares = squares + (running >>> {SQUARE_SHIFT}) * (running >>> {SQUARE_SHIFT});
          end
          total = running - ((squares * {crossbar.wire_factor}) >>> {WIRE_FRACTION});
          if (total < 0) total = 0;
          current = current {"+" if line.sign > 0 else "-"} total;
"""
        text += f"""          draw = sample(key, {{matrix, array}},
              (({READ_KIND + 2 * r} + phase) << 24) | ((column + output_number) & 32'hffffff));
          held[(phase * {len(crossbar.cells.readings)} + {r}) * {outputs} + output_number] = current
              + ((amplitude({r << 10} + raised[phase]) * deviate(draw)
                  + {1 << AMPLITUDE_FRACTION - 1}) >>> {AMPLITUDE_FRACTION});
"""
    return text.rstrip("\n")
