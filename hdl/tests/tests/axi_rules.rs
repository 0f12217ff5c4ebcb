//! The rules of the buses (`hdl/sva`) on ports that nothing else drives (`tops/axi_rules.sv`): each rule is broken once and has to
//! say so, and none speaks while all of them are kept.
#![cfg(feature = "rtl")]

use carillon_hdl_tests::{Dut, View, mutants};

/// What stands on one channel in a cycle: payload, valid, ready.
type Channel<'a> = (&'a [u8], bool, bool);

const SILENT: Channel = (&[], false, false);

fn taken(payload: &[u8]) -> Channel<'_> {
    (payload, true, true)
}

fn refused(payload: &[u8]) -> Channel<'_> {
    (payload, true, false)
}

/// `axi_ax_t` with ID 1.
fn request(address: u64, beats: u8) -> Vec<u8> {
    let mut image = vec![beats - 1];
    image.extend(address.to_le_bytes());
    image.push(1);
    image
}

/// `axi_r_t` of ID 1: `last` is the lowest bit, the ID begins at bit 515.
fn beat(last: bool) -> Vec<u8> {
    let mut image = vec![0; 66];
    image[0] = last.into();
    image[64] = 1 << 3;
    image
}

/// `axi_w_t`: `last` is the lowest bit, data begins at bit 65.
fn data(last: bool, byte: u8) -> Vec<u8> {
    let mut image = vec![0; 73];
    image[0] = last.into();
    image[8] = byte << 1;
    image
}

/// `axi_b_t` of ID 1.
const RESPONSE: [u8; 1] = [1 << 2];
/// Of ID 2.
const FOREIGN: [u8; 1] = [2 << 2];

struct Bench(Dut);

impl Bench {
    fn new() -> Self {
        Self(Dut::new("axi_rules", View::Fast))
    }

    /// One cycle with these channels, by name; all others are silent.
    fn cycle(&mut self, channels: &[(&str, Channel)]) {
        for name in ["ar", "r", "aw", "w", "b"] {
            let named = channels.iter().find(|(channel, _)| *channel == name);
            let (payload, valid, ready) = named.map_or(SILENT, |(_, channel)| *channel);
            self.0.set(&format!("{name}_i"), payload);
            self.0.set_u64(&format!("{name}_valid_i"), valid.into());
            self.0.set_u64(&format!("{name}_ready_i"), ready.into());
        }
        self.0.step();
    }
}

/// Each breaks one rule, after which the process is gone.
const BROKEN: [(&str, &str); 17] = [
    ("a_read_request_is_withdrawn", "a read request changed"),
    ("a_read_request_changes", "a read request changed"),
    ("a_read_request_is_not_aligned", "not of whole beats"),
    ("a_read_crosses_a_page", "crosses 4 KiB"),
    ("a_beat_changes", "a beat changed"),
    ("a_beat_without_a_request", "nobody asked for"),
    ("a_burst_ends_early", "last is 1 in beat"),
    ("a_write_request_changes", "a write request changed"),
    ("a_write_request_is_not_aligned", "not of whole beats"),
    ("a_write_crosses_a_page", "crosses 4 KiB"),
    ("write_data_changes", "write data changed"),
    ("write_data_ends_late", "last is 0 in beat"),
    ("a_request_longer_than_its_data", "whose data had 1"),
    ("write_data_is_withheld", "data is withheld"),
    ("a_response_before_its_data", "before request and data"),
    (
        "a_response_to_somebody_else",
        "ID 02 before request and data",
    ),
    ("a_response_changes", "a response changed"),
];

#[test]
fn each_rule_is_noticed() {
    for (name, says) in BROKEN {
        mutants::assert_noticed(name, "break_a_rule", says);
    }
}

#[test]
#[ignore = "ends the process: each_rule_is_noticed runs it"]
fn break_a_rule() {
    let mut bench = Bench::new();
    let (page, short, long) = (request(0x1000, 64), request(0x1000, 1), request(0x2000, 2));
    let (odd, crossing) = (request(0x1020, 1), request(0x1040, 64));
    match mutants::model("").as_str() {
        "a_read_request_is_withdrawn" => {
            bench.cycle(&[("ar", refused(&page))]);
            bench.cycle(&[]);
        }
        "a_read_request_changes" => {
            bench.cycle(&[("ar", refused(&page))]);
            bench.cycle(&[("ar", taken(&short))]);
        }
        "a_read_request_is_not_aligned" => bench.cycle(&[("ar", refused(&odd))]),
        "a_read_crosses_a_page" => bench.cycle(&[("ar", refused(&crossing))]),
        "a_beat_changes" => {
            bench.cycle(&[("ar", taken(&short))]);
            bench.cycle(&[("r", refused(&beat(true)))]);
            let mut other = beat(true);
            other[9] = 1;
            bench.cycle(&[("r", taken(&other))]);
        }
        "a_beat_without_a_request" => bench.cycle(&[("r", refused(&beat(true)))]),
        "a_burst_ends_early" => {
            bench.cycle(&[("ar", taken(&long))]);
            bench.cycle(&[("r", taken(&beat(true)))]);
        }
        "a_write_request_changes" => {
            bench.cycle(&[("aw", refused(&page))]);
            bench.cycle(&[("aw", taken(&short))]);
        }
        "a_write_request_is_not_aligned" => bench.cycle(&[("aw", refused(&odd))]),
        "a_write_crosses_a_page" => bench.cycle(&[("aw", refused(&crossing))]),
        "write_data_changes" => {
            bench.cycle(&[("w", refused(&data(true, 1)))]);
            bench.cycle(&[("w", taken(&data(true, 2)))]);
        }
        "write_data_ends_late" => {
            bench.cycle(&[("aw", taken(&short))]);
            bench.cycle(&[("w", taken(&data(false, 1)))]);
        }
        "a_request_longer_than_its_data" => {
            bench.cycle(&[("w", taken(&data(true, 1)))]);
            bench.cycle(&[("aw", taken(&long))]);
        }
        "write_data_is_withheld" => {
            for _ in 0..9 {
                bench.cycle(&[("aw", refused(&long))]);
            }
        }
        "a_response_before_its_data" => {
            bench.cycle(&[("aw", taken(&long))]);
            bench.cycle(&[("w", taken(&data(false, 1)))]);
            bench.cycle(&[("b", taken(&RESPONSE))]);
        }
        "a_response_to_somebody_else" => {
            bench.cycle(&[("aw", taken(&short)), ("w", taken(&data(true, 1)))]);
            bench.cycle(&[("b", taken(&FOREIGN))]);
        }
        "a_response_changes" => {
            bench.cycle(&[("aw", taken(&short)), ("w", taken(&data(true, 1)))]);
            bench.cycle(&[("b", refused(&RESPONSE))]);
            bench.cycle(&[("b", taken(&[1 << 2 | 2]))]);
        }
        other => panic!("there is no rule {other}"),
    }
    // What is broken in a cycle is seen at its edge or the next.
    bench.cycle(&[]);
}

#[test]
fn nobody_speaks_while_the_rules_are_kept() {
    let mut bench = Bench::new();
    let (page, short, long) = (request(0x1000, 64), request(0x1000, 1), request(0x2000, 2));
    // Reads: a request waits; bursts of one ID in order.
    bench.cycle(&[("ar", refused(&short))]);
    bench.cycle(&[("ar", taken(&short))]);
    bench.cycle(&[("ar", taken(&page)), ("r", refused(&beat(true)))]);
    bench.cycle(&[("r", taken(&beat(true)))]);
    for index in 0..64 {
        bench.cycle(&[("r", taken(&beat(index == 63)))]);
    }
    // Writes: request first, together, data first; a response in the cycle after the last beat.
    bench.cycle(&[("aw", taken(&long))]);
    bench.cycle(&[("w", taken(&data(false, 1)))]);
    bench.cycle(&[("w", taken(&data(true, 1))), ("aw", taken(&short))]);
    bench.cycle(&[("w", refused(&data(true, 3))), ("b", refused(&RESPONSE))]);
    bench.cycle(&[("w", taken(&data(true, 3))), ("b", taken(&RESPONSE))]);
    bench.cycle(&[("w", taken(&data(false, 1))), ("b", taken(&RESPONSE))]);
    bench.cycle(&[("w", taken(&data(true, 1)))]);
    for _ in 0..20 {
        bench.cycle(&[("aw", refused(&long))]);
    }
    bench.cycle(&[("aw", taken(&long))]);
    bench.cycle(&[("b", taken(&RESPONSE))]);
    // More bursts than the counters hold.
    for _ in 0..300 {
        bench.cycle(&[("w", taken(&data(true, 1))), ("ar", taken(&short))]);
        bench.cycle(&[("aw", taken(&short)), ("r", taken(&beat(true)))]);
        bench.cycle(&[("b", taken(&RESPONSE))]);
    }
}
