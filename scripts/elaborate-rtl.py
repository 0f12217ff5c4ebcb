#!/usr/bin/env python3
"""Strict elaboration of the gateware by slang: every diagnostic is an error.

usage: elaborate-rtl.py LIST.f [LIST.f ...]   (file lists relative to themselves)
"""

import pathlib
import sys

import pyslang


def sources(list_file: pathlib.Path) -> list[pathlib.Path]:
    """The files that a file list names, with `-F` lists opened in place."""
    found = []
    for line in list_file.read_text().splitlines():
        line = line.split("//")[0].strip()
        if not line:
            continue
        if line.startswith("-F"):
            found += sources(list_file.parent / line[2:].strip())
        else:
            found.append(list_file.parent / line)
    return found


def elaborate(list_file: pathlib.Path) -> int:
    """Elaborates one list with `carillon_card` as top; returns the number of diagnostics."""
    driver = pyslang.driver.Driver()
    driver.addStandardArgs()
    files = " ".join(str(path) for path in sources(list_file))
    if not driver.parseCommandLine(f"slang --top carillon_card -Werror {files}") or not driver.processOptions():
        return 1
    if not driver.parseAllSources():
        return 1
    return 0 if driver.runFullCompilation(False) else 1


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    failed = [name for name in sys.argv[1:] if elaborate(pathlib.Path(name))]
    sys.exit(f"elaborate-rtl: {', '.join(failed)} does not elaborate cleanly" if failed else 0)
