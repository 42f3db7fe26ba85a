"""How fast socket tables are parsed, against jc, one pass of mawk, and ``wc -l``.

``python -m bench.parsing [LINES]`` prints the table of docs/performance.md. Every figure is from
this one run on the same text: CPU time (user and system) of the best of several repeats, each
peer in a process of its own, start-up and imports left out for Python and left in for the others,
where they are nothing beside 100,000 lines. mawk gets the text through a file and writes all ten
fields of each row as TSV. Memory is what the peak grew by while parsing, over the text's size.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.netstat_text import Tool, churn, detailed, generate

LINES = 100_000
REPEATS = 5

CHURN = (0.01, 0.1)
"""Shares of the lines that are others than in the text before."""

_PIPELINES = {
    "awk '/^tcp/ {++S[$NF]} END ...'": "awk '/^tcp/ {++S[$NF]} END {for (a in S) print a, S[a]}'",
    "awk ... \\| cut \\| sort \\| uniq -c \\| sort -n": (
        "awk '{print $5}' | cut -d: -f1 | sort | uniq -c | sort -n"
    ),
}
"""The two pipelines the tutorials begin with, over the same text."""

_MAWK = {
    "netstat": r"""
function end(text,   at) { at = length(text); while (substr(text, at, 1) != ":") at--
  return substr(text, 1, at - 1) "\t" substr(text, at + 1) }
BEGIN { OFS = "\t" }
/^(tcp|udp|raw)/ {
  state = $6; from = 7
  if ($1 ~ /^udp/ && $6 != "ESTABLISHED") { state = ""; from = 6 }
  program = $from; for (i = from + 1; i <= NF; i++) program = program " " $i
  pid = ""; slash = index(program, "/")
  if (slash) { pid = substr(program, 1, slash - 1); program = substr(program, slash + 1) }
  print $1, $2, $3, end($4), end($5), state, pid, program
}""",
    "ss": r"""
function end(text,   at) { at = length(text); while (substr(text, at, 1) != ":") at--
  return substr(text, 1, at - 1) "\t" substr(text, at + 1) }
BEGIN { OFS = "\t" }
/^(tcp|udp|raw)/ {
  program = ""; pid = ""; at = index($0, "users:((\"")
  if (at) { rest = substr($0, at + 9); quote = index(rest, "\",pid=")
    program = substr(rest, 1, quote - 1); pid = substr(rest, quote + 6) + 0 }
  print $1, $3, $4, end($5), end($6), $2, pid, program
}""",
}


def main(lines: int) -> str:
    """The result table as Markdown."""
    out = [
        f"| {lines:,} lines | CPU µs/line | netadmin takes, times | peak memory, times the text |",
        "|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        tools: tuple[Tool, ...] = ("netstat", "ss")
        for tool in tools:
            path = Path(folder, tool)
            path.write_text(generate(lines, 1, tool=tool), encoding="utf-8")
            script = Path(folder, f"{tool}.awk")
            script.write_text(_MAWK[tool], encoding="utf-8")
            ours, ours_memory = _python("netadmin", path)
            jc, jc_memory = _python(f"jc-{tool}", path)
            command = _command([sys.executable, "-m", "jc", "--quiet", f"--{tool}"], stdin=path)
            mawk = _command([_found("mawk"), "-f", str(script), str(path)])
            wc = _command([_found("wc"), "-l", str(path)])
            later = {share: Path(folder, f"{tool}-{share}") for share in CHURN}
            for share, changed in later.items():
                changed.write_text(churn(path.read_text(encoding="utf-8"), share, 2), "utf-8")
            out += [
                _row(f"**netadmin, {tool}**", ours, ours, lines, ours_memory),
                _row(f"jc as a library, {tool}", jc, ours, lines, jc_memory),
                _row(f"jc as a command, {tool}", command, ours, lines, None),
                _row(f"mawk, ten fields to TSV, {tool}", mawk, ours, lines, None),
                _row(f"wc -l, {tool}", wc, ours, lines, None),
            ]
            for share, changed in later.items():
                cpu_s, _ = _python(f"unseen-{tool}", path, changed)
                name = f"**netadmin, {tool}, only unseen lines, {share:.0%} changed**"
                out.append(_row(name, cpu_s, ours, lines, None))
            told = Path(folder, f"{tool}-e-o")
            told.write_text(detailed(path.read_text(encoding="utf-8"), 3), encoding="utf-8")
            more, more_memory = _python("netadmin", told)
            jc_more, _ = _python(f"jc-{tool}", told)
            out += [
                _row(f"netadmin, {tool} with `-e -o`", more, ours, lines, more_memory),
                _row(f"jc as a library, {tool} with `-e -o`", jc_more, ours, lines, None),
            ]
            for name, pipeline in _PIPELINES.items():
                cpu_s = _command(["sh", "-c", pipeline], stdin=path)
                out.append(_row(f"`{name}`, {tool}", cpu_s, ours, lines, None))
    return "\n".join(out)


def _row(name: str, cpu_s: float, ours_s: float, lines: int, memory: float | None) -> str:
    ratio = ours_s / cpu_s if cpu_s else float("inf")
    times = f"1/{1 / ratio:.1f}" if ratio < 1 else f"{ratio:.2f}"
    kept = "" if memory is None else f"{memory:.1f}"
    return f"| {name} | {cpu_s / lines * 1e6:.2f} | {times} | {kept} |"


def _found(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise SystemExit(f"bench.parsing needs {name}: apt install {name}")
    return path


def _command(command: list[str], stdin: Path | None = None) -> float:
    """CPU seconds of the best of several runs of a command."""
    best = float("inf")
    for _ in range(REPEATS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        with open(stdin or os.devnull, "rb") as source:
            subprocess.run(command, stdin=source, stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return best


def _python(parser: str, *paths: Path) -> tuple[float, float]:
    """CPU seconds and memory growth of a parser measured in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.parsing", "--measure", parser, *map(str, paths)],
        stdout=subprocess.PIPE,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )
    result = json.loads(done.stdout)
    return float(result["cpu_s"]), float(result["memory"])


def _measure(parser: str, paths: list[Path]) -> dict[str, float]:
    """Run in the fresh interpreter: first one parse for the memory, then some for the time."""
    raw = paths[-1].read_bytes()
    parse = _parser(parser, before=paths[0].read_bytes())
    _forget_peak()
    before = _peak_bytes()
    kept = parse(raw)
    memory = (_peak_bytes() - before) / len(raw)
    del kept
    best = float("inf")
    for _ in range(2 if parser.startswith("jc") else REPEATS):
        started = time.process_time()
        kept = parse(raw)
        best = min(best, time.process_time() - started)
        del kept
    return {"cpu_s": best, "memory": memory}


def _parser(name: str, *, before: bytes) -> Callable[[bytes], object]:
    if name == "netadmin":
        from probes import parsers

        return lambda raw: parsers.parse(parsers.decode(raw))
    if name.startswith("unseen"):
        from probes import parsers
        from probes.history import diff

        old = parsers.decode(before)
        dialect = parsers.identify(old) or ""
        return lambda raw: diff.compare(old, parsers.decode(raw), dialect, wide=True)
    import jc

    return lambda raw: jc.parse(name.removeprefix("jc-"), raw.decode(), quiet=True)


def _forget_peak() -> None:
    """Start the peak anew: 5 does so for VmHWM (proc(5), /proc/pid/clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak_bytes() -> int:
    """The most memory this process has held at once (VmHWM)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(_measure(sys.argv[2], [Path(arg) for arg in sys.argv[3:]])))
    else:
        print(main(int(sys.argv[1]) if sys.argv[1:] else LINES))
