"""Turns hdl/regs/card.rdl into what PeakRDL-regblock does not make: the SystemVerilog
package with the map's hash, the driver's Rust constants and the HTML page.

Called by scripts/generate-registers.sh; the output depends on card.rdl alone.
Usage: generate.py card.rdl OUT_SV OUT_RUST OUT_HTML
"""

import hashlib
import html
import sys
from dataclasses import dataclass
from pathlib import Path

from systemrdl import RDLCompiler
from systemrdl.node import FieldNode, RegfileNode, RegNode

NOTICE = "Generated from hdl/regs/card.rdl by scripts/generate-registers.sh; do not edit."


@dataclass
class Field:
    name: str
    text: str
    lsb: int
    width: int


@dataclass
class Register:
    """A register, or one per element of an array of register files."""

    name: str
    title: str
    text: str
    offset: int
    count: int
    stride: int
    reset: int | None
    access: str
    fields: list[Field]


def text_of(node, prop: str) -> str:
    return " ".join((node.get_property(prop) or "").split())


def field_of(node: FieldNode) -> Field:
    return Field(node.inst_name, text_of(node, "desc"), node.lsb, node.width)


def access_of(reg: RegNode) -> str:
    kinds = {f.get_property("sw").name for f in reg.fields()}
    return "/".join(sorted(kinds))


def reset_of(reg: RegNode) -> int | None:
    """The value after reset, if the register alone defines it (not a hardware input)."""
    value = 0
    for f in reg.fields():
        reset = f.get_property("reset")
        if reset is None:
            return None
        value |= reset << f.lsb
    return value


def flatten(top) -> list[Register]:
    """Registers in address order; an array of register files gives one entry per member."""
    out = []
    for node in top.children(unroll=False):
        if isinstance(node, RegNode):
            members, count, stride, prefix, base = [node], 1, 0, "", 0
        elif isinstance(node, RegfileNode):
            members = list(node.registers(unroll=False))
            count = node.n_elements if node.is_array else 1
            stride = node.array_stride if node.is_array else 0
            prefix = "" if node.is_array and node.inst_name == "DOORBELL" else node.inst_name + "_"
            base = node.raw_address_offset
        else:
            raise SystemExit(f"card.rdl: {node.get_path()}: only registers and register files are handled")
        for reg in members:
            name = reg.inst_name if reg.inst_name.startswith(prefix) else prefix + reg.inst_name
            title, text = text_of(reg, "name"), text_of(reg, "desc")
            if isinstance(node, RegfileNode) and not node.is_array:
                title = f"{text_of(node, 'name')} ({title.lower().split(', ')[-1]} half)"
            out.append(
                Register(name, title, text, base + reg.raw_address_offset, count, stride,
                         reset_of(reg), access_of(reg), [field_of(f) for f in reg.fields()])
            )
    return sorted(out, key=lambda r: r.offset)


def systemverilog(digest: bytes) -> str:
    value = int.from_bytes(digest[:8], "little")
    return f"""// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
// {NOTICE}
//
// The identity of the register map: the first eight bytes of the SHA-256 of
// card.rdl, first byte lowest. Read by the host at RDL_HASH_LO/HI.
package card_rdl_pkg;
  parameter logic [63:0] RdlHash = 64'h{value:016x};
endpackage
"""


def sentence(title: str, text: str) -> str:
    """A title and a text as a comment's first and second sentence."""
    return f"{title}. {text}" if text else f"{title}."


def rust(regs: list[Register], digest: bytes) -> str:
    value = int.from_bytes(digest[:8], "little")
    groups = [f"{value:016x}"[i : i + 4] for i in range(0, 16, 4)]
    out = [
        "//! Offsets and fields of the card's registers (BAR0).",
        "//!",
        f"//! {NOTICE}",
        "//!",
        "//! One module per register, named as in `hdl/doc/contract.md`. Registers that exist once have a",
        "//! constant `OFFSET`; those that exist once per queue have a function `offset`.",
        "",
        "/// First eight bytes of the SHA-256 of `card.rdl`, first byte lowest: the identity of this map.",
        f"pub const RDL_HASH: u64 = 0x{'_'.join(groups)};",
        "",
        "/// Some adjacent bits of a 32-bit register.",
        "#[derive(Debug, Clone, Copy, PartialEq, Eq)]",
        "pub struct Field {",
        "    /// Position of the lowest bit.",
        "    pub lsb: u32,",
        "    /// Number of bits, 1 to 32.",
        "    pub width: u32,",
        "}",
        "",
        "impl Field {",
        "    /// The field's bits in the register.",
        "    #[must_use]",
        "    pub const fn mask(self) -> u32 {",
        "        (u32::MAX >> (32 - self.width)) << self.lsb",
        "    }",
        "",
        "    /// The field's value in a register that was read.",
        "    #[must_use]",
        "    pub const fn get(self, register: u32) -> u32 {",
        "        (register & self.mask()) >> self.lsb",
        "    }",
        "",
        "    /// `register` with this field replaced; bits of `value` beyond the field are dropped.",
        "    #[must_use]",
        "    pub const fn set(self, register: u32, value: u32) -> u32 {",
        "        (register & !self.mask()) | ((value << self.lsb) & self.mask())",
        "    }",
        "}",
    ]
    for reg in regs:
        out += ["", f"/// {sentence(reg.title, reg.text)}", f"pub mod {reg.name.lower()} {{", "    use super::Field;", ""]
        if reg.count > 1:
            out += [
                "    /// Byte offset in BAR0 of queue 0's register.",
                f"    pub const FIRST: u32 = 0x{reg.offset:04x};",
                "    /// Bytes from one queue's register to the next.",
                f"    pub const STRIDE: u32 = 0x{reg.stride:02x};",
                "    /// Byte offset in BAR0 of the register of `queue`.",
                "    #[must_use]",
                "    pub const fn offset(queue: u16) -> u32 {",
                "        FIRST + queue as u32 * STRIDE",
                "    }",
            ]
        else:
            out += ["    /// Byte offset in BAR0.", f"    pub const OFFSET: u32 = 0x{reg.offset:04x};"]
        if reg.reset is not None:
            out += ["    /// Value after reset.", f"    pub const RESET: u32 = 0x{reg.reset:08x};"]
        for f in reg.fields:
            out += [
                f"    /// {f.text}",
                f"    pub const {f.name.upper()}: Field = Field {{",
                f"        lsb: {f.lsb},",
                f"        width: {f.width},",
                "    };",
            ]
        out.append("}")
    return "\n".join(out) + "\n"


def page(regs: list[Register], digest: bytes) -> str:
    rows = []
    for reg in regs:
        offset = f"0x{reg.offset:04x}" + (f" + 0x{reg.stride:02x} q" if reg.count > 1 else "")
        fields = "".join(
            f"<tr><td>{f.lsb + f.width - 1}:{f.lsb}</td><td><code>{html.escape(f.name)}</code></td>"
            f"<td>{html.escape(f.text)}</td></tr>"
            for f in reg.fields
        )
        reset = "" if reg.reset is None else f", reset 0x{reg.reset:08x}"
        rows.append(
            f'<section id="{reg.name}"><h2><code>{reg.name}</code> <small>{offset}, {reg.access}{reset}</small></h2>\n'
            f"<p>{html.escape(sentence(reg.title, reg.text))}</p>\n"
            f"<table><tr><th>bits</th><th>field</th><th></th></tr>{fields}</table></section>"
        )
    index = " ".join(f'<a href="#{r.name}">{r.name}</a>' for r in regs)
    body = "\n".join(rows)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Carillon card registers</title>
<style>body{{font:15px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}
table{{border-collapse:collapse}}td,th{{border:1px solid #bbb;padding:.2rem .6rem;text-align:left}}
small{{font-weight:normal;color:#555}}nav a{{margin-right:.6rem;white-space:nowrap}}</style></head><body>
<!-- {NOTICE} -->
<h1>Carillon card registers</h1>
<p>BAR0, 64 KiB, 32-bit registers, little-endian; q is the queue number. What they mean together: <a href="contract.md">contract.md</a>.
Register map hash <code>{digest[:8].hex()}</code>.</p>
<nav>{index}</nav>
{body}
</body></html>
"""


def main(source: str, out_sv: str, out_rust: str, out_html: str) -> None:
    compiler = RDLCompiler()
    compiler.compile_file(source)
    regs = flatten(compiler.elaborate().top)
    digest = hashlib.sha256(Path(source).read_bytes()).digest()
    Path(out_sv).write_text(systemverilog(digest))
    Path(out_rust).write_text(rust(regs, digest))
    Path(out_html).write_text(page(regs, digest))


if __name__ == "__main__":
    main(*sys.argv[1:])
