//! A replay's waveform on the Verilated card: switched on for the failing
//! command, and a file that opens a viewer there. Needs the feature
//! `rtl`, and `rtl-trace` for the waveform itself.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::replay::Watch;
use crate::rtl::RtlCard;

/// Switches a card's trace on for the failing command.
#[derive(Debug)]
pub struct Waveform {
    card: Arc<RtlCard>,
    /// Clock cycle right before the failing command's doorbell.
    pub begin: Option<u64>,
    /// Clock cycle by which its end was seen.
    pub end: Option<u64>,
}

impl Waveform {
    /// For a card made with a trace that waits.
    #[must_use]
    pub fn new(card: Arc<RtlCard>) -> Self {
        Self {
            card,
            begin: None,
            end: None,
        }
    }
}

impl Watch for Waveform {
    fn begins(&mut self) {
        self.begin = self.card.trace(true);
    }

    fn ended(&mut self) {
        self.end = self.card.trace(false);
    }
}

/// Time in the VCD file of the rising edge of a clock cycle.
#[must_use]
pub fn time_of(cycle: u64) -> u64 {
    2 * cycle + 1
}

/// Signals of the card's ports that the viewer shows, by their beginning.
const SHOWN: [&str; 6] = [
    "clk_i",
    "rst_ni",
    "irq_o",
    "awake_o",
    "s_axil_",
    "m_axi_host_",
];

/// Writes a save file for GTKWave beside `vcd`: the card's ports, with the
/// marker at `cycle`. Returns its path.
///
/// # Errors
/// When the VCD file cannot be read or the save file not be written.
pub fn save_file(vcd: &Path, cycle: u64) -> io::Result<PathBuf> {
    let signals = ports(BufReader::new(File::open(vcd)?))?;
    let time = time_of(cycle);
    let mut text = format!("[*] Carillon: clock cycle {cycle} is at the marker\n");
    let absolute = std::path::absolute(vcd)?;
    let _ = writeln!(text, "[dumpfile] \"{}\"", absolute.display());
    let _ = writeln!(text, "[timestart] {}", time.saturating_sub(40));
    let _ = writeln!(text, "*-2.0 {time}{}", " -1".repeat(26));
    for (name, bits) in signals {
        // Binary for single bits, hexadecimal for the rest.
        let _ = writeln!(text, "{}\n{name}", if bits == 1 { "@28" } else { "@22" });
    }
    let path = vcd.with_extension("gtkw");
    std::fs::write(&path, text)?;
    Ok(path)
}

/// The shown ports of the top module: full name with its range, and bits.
fn ports(vcd: impl BufRead) -> io::Result<Vec<(String, u32)>> {
    let mut scope: Vec<String> = Vec::new();
    let mut found: Vec<(String, u32)> = Vec::new();
    for line in vcd.lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["$scope", _, name, ..] => scope.push(name.to_owned()),
            ["$upscope", ..] => drop(scope.pop()),
            ["$enddefinitions", ..] => break,
            ["$var", _, bits, _code, ref name @ .., "$end"] if scope.len() == 1 => {
                let name = name.concat();
                if SHOWN.iter().any(|s| name.starts_with(s)) {
                    let bits = bits.parse().unwrap_or(1);
                    found.push((format!("{}.{name}", scope.join(".")), bits));
                }
            }
            _ => {}
        }
    }
    let rank = |name: &str| {
        let name = name.rsplit('.').next().unwrap_or(name);
        SHOWN.iter().position(|s| name.starts_with(s))
    };
    found.sort_by_key(|(name, _)| rank(name));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ports_come_first_and_with_their_ranges() {
        let vcd = "$scope module TOP $end\n $var wire 1 # other_irq $end\n \
            $var wire 16 $ s_axil_araddr [15:0] $end\n $var wire 1 % clk_i $end\n \
            $scope module card $end\n $var wire 1 % clk_i $end\n $upscope $end\n\
            $upscope $end\n$enddefinitions $end\n$var wire 1 x rst_ni $end\n";
        let ports = ports(vcd.as_bytes()).unwrap();
        let expected = [("TOP.clk_i", 1), ("TOP.s_axil_araddr[15:0]", 16)];
        assert_eq!(ports, expected.map(|(n, b)| (n.to_owned(), b)));
    }
}
