//! `carillon trace` as a user runs it: record, show, replay, and what is refused.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers fail the test that calls them

mod binary;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use binary::carillon;
use serde_json::Value;

fn run(args: &[&str]) -> (i32, String, String) {
    let output = carillon(args);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap();
    (code, text(output.stdout), text(output.stderr))
}

fn json(args: &[&str]) -> Value {
    let (code, out, err) = run(&[args, &["--json"]].concat());
    assert_eq!(code, 0, "{out}{err}");
    serde_json::from_str(&out).unwrap()
}

fn record(path: &Path, options: &[&str], command: &[&str]) -> (i32, String, String) {
    let path = path.to_str().unwrap();
    let start = ["trace", "record", "--out", path];
    run(&[&start, options, &["--"], command].concat())
}

const MSM: [&str; 6] = ["bench", "msm", "--engine", "sim:model", "--log2", "4"];

#[test]
fn a_command_is_recorded_listed_and_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("msm.trace");
    let (code, out, err) = record(&path, &[], &MSM);
    assert_eq!(code, 0, "{out}{err}");
    assert!(
        out.contains("equal to the CPU's result"),
        "the command's own output: {out}"
    );
    assert!(err.contains("carillon trace show"), "{err}");
    let file = path.to_str().unwrap();

    let (code, out, _) = run(&["trace", "show", file]);
    assert_eq!(code, 0);
    for part in [
        "read      MAGIC = 0x4c524143",
        "write     CTRL = 0x00000001",
        "map       0x100000000",
        "cid 0x0000 IDENTIFY page=",
        "MSM_G1 bases=",
        "n=16",
        "SUCCESS",
        "interrupt vector",
        "first failure  none",
    ] {
        assert!(out.contains(part), "{part} is not in\n{out}");
    }

    let all = json(&["trace", "show", file]);
    assert_eq!(all["schema"], "carillon.trace.show/1");
    let summary = &all["summary"];
    assert_eq!(summary["commands"], summary["succeeded"]);
    assert_eq!(
        all["records"].as_array().unwrap().len() as u64,
        summary["records"]
    );
    assert!(all["failure"].is_null() && all["damage"].is_null());
    let last = json(&["trace", "show", file, "--queue", "0", "--last", "3"]);
    let records = last["records"].as_array().unwrap();
    assert_eq!(records.len(), 3);
    assert!(records.iter().all(|r| r["queue"] == 0));

    let replay = json(&["trace", "replay", file]);
    assert_eq!(replay["schema"], "carillon.trace.replay/1");
    assert_eq!(replay["outcome"]["compared"], summary["commands"]);
    assert_eq!(replay["outcome"]["differences"], Value::Array(Vec::new()));
    #[cfg(feature = "rtl")]
    {
        let replay = json(&["trace", "replay", file, "--engine", "sim:rtl"]);
        assert_eq!(replay["outcome"]["compared"], summary["commands"]);
    }
}

#[test]
fn each_card_has_a_recording_and_a_ring_has_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring.trace");
    let command = ["bench", "msm", "--engine", "sim:model", "--log2", "15"];
    let (code, _, err) = record(&path, &["--limit", "1"], &command);
    assert_eq!(code, 0, "{err}");
    // 32768 points alone are 3 MiB.
    let size = fs::metadata(&path).unwrap().len();
    assert!(size <= (1 << 20) + 256, "{size}");
    let file = path.to_str().unwrap();
    let shown = json(&["trace", "show", file, "--last", "1"]);
    assert!(shown["summary"]["dropped_bytes"].as_u64().unwrap() > 2 << 20);
    let (code, _, err) = run(&["trace", "replay", file]);
    assert_eq!(code, 4);
    assert!(err.contains("larger"), "{err}");

    // `engines` opens every card that there is.
    let path = folder.path().join("engines.trace");
    assert_eq!(record(&path, &[], &["engines"]).0, 0);
    let cards = if cfg!(feature = "rtl") { 2 } else { 1 };
    let second = folder.path().join("engines.trace.2");
    assert_eq!((path.exists(), second.exists()), (true, cards == 2));
}

#[test]
fn a_damaged_recording_is_read_up_to_the_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("msm.trace");
    assert_eq!(record(&path, &[], &MSM).0, 0);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(&path, &bytes).unwrap();
    let file = path.to_str().unwrap();
    let (code, out, _) = run(&["trace", "show", file, "--json"]);
    assert_eq!(code, 4);
    let shown: Value = serde_json::from_str(&out).unwrap();
    let damage = shown["damage"].as_str().unwrap();
    assert!(
        damage.contains("is damaged") && damage.contains("at byte"),
        "{damage}"
    );
    assert!(!shown["records"].as_array().unwrap().is_empty());
    let (code, _, err) = run(&["trace", "show", file]);
    assert_eq!(code, 4);
    assert_eq!(
        err.matches("everything before it is intact").count(),
        1,
        "{err}"
    );
    assert!(!err.contains("was used"), "said twice: {err}");
    let (code, _, err) = run(&["trace", "replay", file]);
    assert!(code == 4 || code == 5, "{err}");

    fs::write(&path, b"something else altogether").unwrap();
    let (code, _, err) = run(&["trace", "show", file]);
    assert_eq!(code, 4);
    assert!(err.contains("no Carillon trace"), "{err}");
}

/// A recording holds the witness: only its owner may read it, and it never happens unannounced.
#[test]
fn a_recording_is_private_and_announced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("msm.trace");
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    for (level, shown) in [("off", "is recorded to"), ("warn", "WARN")] {
        let output = binary::command(&MSM)
            .env("CARILLON_TRACE", &path)
            .env("RUST_LOG", level)
            .output()
            .unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{err}");
        let name = path.to_str().unwrap();
        let told = err.lines().filter(|line| line.contains(name));
        assert_eq!(told.count(), 1, "{level}: {err}");
        assert!(
            err.contains(shown) && err.contains("secrets included"),
            "{err}"
        );
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_recording_that_cannot_be_written_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("msm.trace");
    // As a disk that is full after 8 MiB: DMA memory is a file, too, and fits into that. The
    // recording of 8 MiB each way does not.
    let script = "trap '' XFSZ; ulimit -f 8192; exec \"$@\"";
    let mut command = std::process::Command::new("bash");
    let carillon = env!("CARGO_BIN_EXE_carillon");
    command.args(["-c", script, carillon, carillon, "trace", "record", "--out"]);
    let ntt = ["bench", "ntt", "--engine", "sim:model", "--log2", "18"];
    let output = command.arg(&path).arg("--").args(ntt).output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{err}");
    assert!(err.contains("recording is not complete"), "{err}");
    assert!(!err.contains("list it with"), "{err}");
    // Devices stay what they are.
    let (code, _, err) = record(Path::new("/dev/full"), &[], &MSM);
    assert_eq!(code, 4, "{err}");
    assert!(err.contains("is no file"), "{err}");
    assert!(Path::new("/dev/full").exists());
}

#[test]
fn a_recording_replaces_recordings_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (out, second) = (path("a.trace"), path("a.trace.2"));
    assert_eq!(record(&out, &[], &MSM).0, 0);
    assert_eq!(record(&out, &[], &MSM).0, 0, "a recording is replaced");
    let old = fs::read(&out).unwrap();
    // The second card's name is somebody's file: neither it nor the recording is touched.
    fs::write(&second, "a key").unwrap();
    let (code, _, err) = record(&out, &[], &MSM);
    assert_eq!(code, 4, "{err}");
    assert!(
        err.contains("a.trace.2 is there and is no recording"),
        "{err}"
    );
    assert_eq!(fs::read(&out).unwrap(), old);
    // The same by the variable.
    let mut by_variable = binary::command(&MSM);
    let output = by_variable.env("CARILLON_TRACE", &second).output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{err}");
    assert!(err.contains("choose another name"), "{err}");
    assert_eq!(fs::read_to_string(&second).unwrap(), "a key");
}

#[test]
fn what_cannot_be_done_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.trace");
    let file = path.to_str().unwrap();

    let (code, _, err) = record(&path, &[], &["bench", "msm", "--log2", "4"]);
    assert_eq!(code, 4, "{err}");
    assert!(err.contains("opened no card"), "{err}");
    // The recorded command's own end is passed on.
    assert_eq!(
        record(&path, &[], &["verify", "--key", "none", "--proof", "none"]).0,
        4
    );
    let nowhere = folder.path().join("no/such/folder/a.trace");
    let (code, _, err) = record(&nowhere, &[], &MSM);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("cannot record to"), "{err}");

    assert_eq!(record(&path, &[], &MSM).0, 0);
    let (code, _, err) = run(&["trace", "replay", file, "--engine", "cpu"]);
    assert_eq!(code, 2, "{err}");
    let vcd = folder.path().join("a.vcd");
    let vcd = vcd.to_str().unwrap();
    let (code, _, err) = run(&["trace", "replay", file, "--waveform", vcd]);
    assert_eq!(code, 3);
    assert!(err.contains("sim:model has no signals"), "{err}");
    #[cfg(not(feature = "rtl"))]
    {
        let (code, _, err) = run(&["trace", "replay", file, "--engine", "sim:rtl"]);
        assert_eq!(code, 3);
        assert!(err.contains("--features rtl"), "{err}");
    }
    #[cfg(all(feature = "rtl", not(feature = "rtl-trace")))]
    {
        let args = [
            "trace",
            "replay",
            file,
            "--engine",
            "sim:rtl",
            "--waveform",
            vcd,
        ];
        let (code, _, err) = run(&args);
        assert_eq!(code, 3);
        assert!(err.contains("--features rtl-trace"), "{err}");
    }
    #[cfg(feature = "rtl-trace")]
    {
        let args = [
            "trace",
            "replay",
            file,
            "--engine",
            "sim:rtl",
            "--waveform",
            vcd,
        ];
        let (code, out, err) = run(&args);
        assert_eq!(code, 0, "{err}");
        assert!(out.contains("gtkwave "), "{out}");
        assert!(folder.path().join("a.gtkw").exists());
    }
}
