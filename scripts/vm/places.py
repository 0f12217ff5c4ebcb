"""Where the VM gate keeps its things, and how its scripts speak. Imported by fetch, image and run; touches nothing."""

import hashlib
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# Fetched and unpacked packages.
TOOLS = pathlib.Path(os.environ.get("CARILLON_TOOLS", ROOT / ".tools")).resolve() / "vm"
QEMU_ROOT = TOOLS / "qemu"
GUEST_ROOT = TOOLS / "guest"
# The guest's kernel, unpacked.
KERNEL = TOOLS / "vmlinux"
STAMP = TOOLS / ".stamp"
# Cargo's output, and the gate's own.
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
OUT = TARGET / "vm"

# Exit status of a script that cannot do its work on this machine (the convention of automake's tests).
SKIPPED = 77


def say(text):
    print(f"vm: {text}", flush=True)


def skip(reason):
    """Ends the script: this machine cannot run the gate, for the reason given."""
    say(f"SKIPPED: {reason}")
    sys.exit(SKIPPED)


def fail(text):
    print(f"vm: error: {text}", file=sys.stderr, flush=True)
    sys.exit(1)


def digest(*parts):
    """One hash of texts, bytes and the contents of files."""
    whole = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, pathlib.Path) else part if isinstance(part, bytes) else str(part).encode()
        whole.update(hashlib.sha256(data).digest())
    return whole.hexdigest()


def loader(root):
    """The dynamic loader inside an unpacked root, and the folders of its libraries."""
    folders = [root / "usr/lib/x86_64-linux-gnu", root / "lib/x86_64-linux-gnu"]
    for place in ("usr/lib64", "lib64", "usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"):
        found = root / place / "ld-linux-x86-64.so.2"
        # Debian's /lib64 entry may be an absolute link; the file that it names lies in the root as well.
        if found.is_symlink():
            found = root / str(found.readlink()).lstrip("/")
        if found.is_file():
            return found, [folder for folder in folders if folder.is_dir()]
    return None, folders


def qemu(*arguments):
    """Command line of the fetched QEMU: run by its own loader with its own libraries, beside those of the machine."""
    ld, folders = loader(QEMU_ROOT)
    program = QEMU_ROOT / "usr/bin/qemu-system-x86_64"
    share = QEMU_ROOT / "usr/share"
    return [
        *(str(ld), "--library-path", ":".join(map(str, folders)), "--argv0", "qemu-system-x86_64", str(program)),
        *("-L", str(share / "seabios"), "-L", str(share / "qemu")),
        *arguments,
    ]


def qemu_environment():
    """Environment of QEMU: its loadable parts come from the fetched packages."""
    _, folders = loader(QEMU_ROOT)
    return {**os.environ, "QEMU_MODULE_DIR": str(folders[0] / "qemu")}
