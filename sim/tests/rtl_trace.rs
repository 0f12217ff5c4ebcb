//! Waveforms of the Verilated card on demand: with the feature `rtl-trace` a VCD
//! file, without it a clear refusal.
#![cfg(feature = "rtl")]
#![allow(
    clippy::unwrap_used,
    reason = "test code reports a failure by panicking"
)]

use std::path::PathBuf;

#[cfg(not(feature = "rtl-structural"))]
use carillon_sim::rtl::View;
use carillon_sim::rtl::{RtlCard, RtlError, RtlOptions};

fn with_trace(path: PathBuf) -> Result<RtlCard, RtlError> {
    RtlCard::new(RtlOptions {
        trace: Some(path),
        ..RtlOptions::default()
    })
}

#[cfg(feature = "rtl-trace")]
#[test]
fn a_trace_shows_the_card_at_work() {
    use carillon_driver::registers as reg;
    use carillon_driver::transport::Transport;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("card.vcd");
    let card = with_trace(path.clone()).unwrap();
    card.write32(reg::ctrl::OFFSET, 1);
    assert_eq!(card.read32(reg::status::OFFSET) & 1, 1);
    drop(card);
    let text = std::fs::read_to_string(&path).unwrap();
    for name in [" awake_o ", " s_axil_araddr ", " u_queues ", " ready_q "] {
        assert!(text.contains(name), "{name} is not in the trace");
    }
    let steps = text.lines().filter(|l| l.starts_with('#')).count();
    assert!(steps > 20, "{steps} steps");

    let nowhere = folder.path().join("no/such/folder/card.vcd");
    let refused = with_trace(nowhere.clone()).unwrap_err();
    assert!(matches!(refused, RtlError::Trace { path } if path == nowhere));
}

#[cfg(not(feature = "rtl-trace"))]
#[test]
fn without_the_feature_a_trace_is_refused() {
    let refused = with_trace("card.vcd".into()).unwrap_err();
    assert!(matches!(refused, RtlError::NotBuilt { feature, .. } if feature == "rtl-trace"));
}

#[cfg(not(feature = "rtl-structural"))]
#[test]
fn without_the_feature_the_structural_view_is_refused() {
    let refused = RtlCard::new(RtlOptions {
        view: View::Structural,
        ..RtlOptions::default()
    })
    .unwrap_err();
    assert!(matches!(refused, RtlError::NotBuilt { feature, .. } if feature == "rtl-structural"));
}
