//! The `carillon` binary: output, JSON schemas and exit codes.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers fail the test that calls them

mod binary;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use binary::{carillon, command};
use carillon_runtime::groth16::CircuitShape;
use carillon_runtime::memory;
use serde_json::Value;
use yaml_rust2::YamlLoader;

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// Runs with `--json` and expects success.
fn json(args: &[&str]) -> Value {
    let output = carillon(&[args, &["--json"]].concat());
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(
        code(&output),
        0,
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_str(&text).unwrap()
}

/// Runs with `--json` and expects an error object with this exit code.
fn failure(expected: i32, args: &[&str]) -> String {
    let output = carillon(&[args, &["--json"]].concat());
    assert_eq!(
        code(&output),
        expected,
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["schema"], "carillon.error/1");
    assert_eq!(object["code"], expected);
    let message = object["message"].as_str().unwrap().to_owned();
    assert!(String::from_utf8_lossy(&output.stderr).contains(&message));
    message
}

#[test]
fn bench_msm_reports_the_card_and_checks_the_result() {
    for dist in [
        "uniform",
        "equal",
        "one",
        "zeros-ones",
        "witness",
        "zipf",
        "hot",
    ] {
        let result = json(&[
            "bench",
            "msm",
            "--engine",
            "sim:model",
            "--log2",
            "4",
            "--dist",
            dist,
        ]);
        assert_eq!(result["schema"], "carillon.bench.msm/1");
        assert_eq!(result["engine"], "sim:model");
        assert_eq!(
            (&result["elements"], &result["dist"]),
            (&16.into(), &dist.into())
        );
        assert_eq!(result["checked"], true);
        assert_eq!(result["stats"]["card"]["bytes_to_card"], 16 * 96 + 16 * 32);
        assert!(result["stats"]["wall_seconds"].as_f64().unwrap() > 0.0);
        assert!(
            result["stats"]["card"]
                .as_object()
                .unwrap()
                .contains_key("occupancy")
        );
    }
    let narrow = [
        "bench",
        "msm",
        "--engine",
        "sim:model",
        "--log2",
        "4",
        "--window-bits",
        "5",
    ];
    let narrow_result = json(&narrow);
    assert_eq!(narrow_result["window_bits"], 5);
    // Two halves of 26 digits each, buckets of 16 magnitudes.
    let msm = &narrow_result["msm"];
    assert_eq!((&msm["windows"], &msm["split"]), (&26.into(), &true.into()));
    let digits = msm["non_zero_digits"].as_u64().unwrap();
    assert!((700..=2 * 26 * 16).contains(&digits), "{digits}");
    assert_eq!(msm["ideal_cycles"], (digits + 2 * 26 * 16) as f64);
    // The model has no clock.
    assert!(msm["cycles"].is_null() && msm["ratio"].is_null());
    let full = json(&[&narrow[..], &["--full-scalars"]].concat());
    assert_eq!(full["full_scalars"], true);
    assert_eq!(
        (&full["msm"]["windows"], &full["msm"]["split"]),
        (&52.into(), &false.into())
    );
    let cpu = json(&["bench", "msm", "--log2", "4", "--no-check"]);
    assert!(cpu["window_bits"].is_null());
    assert_eq!(
        (&cpu["engine"], &cpu["checked"]),
        (&"cpu".into(), &false.into())
    );
    assert!(cpu["stats"]["card"].is_null());
    assert!(cpu["msm"]["ideal_cycles"].is_null());
}

#[test]
fn bench_msm_sums_in_either_group() {
    let args = ["bench", "msm", "--group", "g2", "--log2", "4", "--engine"];
    let result = json(&[&args[..], &["sim:model", "--window-bits", "8"]].concat());
    assert_eq!(
        (&result["schema"], &result["group"], &result["checked"]),
        (&"carillon.bench.msm/1".into(), &"g2".into(), &true.into())
    );
    let card = &result["stats"]["card"];
    assert_eq!(card["bytes_to_card"], 16 * 192 + 16 * 32);
    assert_eq!(card["bytes_from_card"], 320);
    // Four parts of 8 digits each, buckets of 128 magnitudes, three cycles an addition.
    let msm = &result["msm"];
    assert_eq!((&msm["windows"], &msm["split"]), (&8.into(), &true.into()));
    let digits = msm["non_zero_digits"].as_u64().unwrap();
    assert!((480..=16 * 4 * 8).contains(&digits), "{digits}");
    let ideal = (3 * (digits + 2 * 8 * 128)) as f64;
    assert_eq!(msm["ideal_cycles"], ideal);
    let whole = json(&[&args[..], &["sim:model", "--full-scalars"]].concat());
    assert_eq!(whole["msm"]["split"], false);
    let cpu = json(&[&args[..], &["cpu"]].concat());
    assert_eq!(
        (&cpu["group"], &cpu["checked"]),
        (&"g2".into(), &true.into())
    );
    assert!(cpu["stats"]["card"].is_null() && cpu["msm"]["ideal_cycles"].is_null());
    let g1 = json(&["bench", "msm", "--log2", "2"]);
    assert_eq!(g1["group"], "g1");
    failure(2, &["bench", "msm", "--log2", "2", "--group", "g3"]);
}

#[test]
fn bench_msm_makes_a_table_of_all_distributions() {
    let args = [
        "bench",
        "msm",
        "--engine",
        "sim:model",
        "--log2",
        "6",
        "--all-dists",
    ];
    let result = json(&args);
    assert_eq!(result["schema"], "carillon.bench.msm.all/1");
    let runs = result["runs"].as_array().unwrap();
    let of = |dist: &str| {
        let run = runs.iter().find(|run| run["dist"] == dist).unwrap();
        run["msm"]["non_zero_digits"].as_u64().unwrap()
    };
    assert_eq!(runs.len(), 10);
    assert_eq!((of("one"), of("minus-one") > 64), (64, true));
    assert!(of("zeros-ones") < 64 && of("uniform") > 1000);
    let windows = runs[0]["msm"]["windows"].as_u64().unwrap();
    assert!(of("hot") >= 64 * 2 * (windows - 1));
    let text = carillon(&args);
    let text = String::from_utf8(text.stdout).unwrap();
    assert_eq!(text.lines().count(), 11, "{text}");
    assert!(text.starts_with("scalars"), "{text}");
    let both = [&args[..], &["--dist", "hot"]].concat();
    assert_eq!(code(&carillon(&both)), 2);
}

#[test]
fn bench_ntt_runs_every_kind() {
    let kinds = ["forward", "inverse", "coset-forward", "coset-inverse"];
    for kind in kinds.into_iter().chain(["odd-forward", "odd-inverse"]) {
        let result = json(&[
            "bench",
            "ntt",
            "--engine",
            "sim:model",
            "--log2",
            "5",
            "--kind",
            kind,
        ]);
        assert_eq!(result["schema"], "carillon.bench.ntt/1");
        assert_eq!(result["kind"], kind);
        assert_eq!(result["stats"]["card"]["butterflies"], 5 * 16);
        assert!(result["stats"]["card"]["cycles"].is_null());
    }
}

#[test]
fn bench_groth16_proves_several_at_once() {
    let bench = ["bench", "groth16", "--engine", "sim:model", "--log2", "4"];
    let several = [&bench[..], &["--proofs", "3"]].concat();
    let result = json(&several);
    assert_eq!(
        (&result["proofs"], &result["verified"]),
        (&3.into(), &true.into())
    );
    assert_eq!(result["stages"]["h"]["card"]["commands"], 3);
    assert!(result["card"]["overlap"]["bytes"].is_u64());
    let text = String::from_utf8(carillon(&several).stdout).unwrap();
    for row in [
        "3, 2 at once",
        "commands beside another proof",
        "waits for card memory",
    ] {
        assert!(text.contains(row), "{text}");
    }
    let one = json(&bench);
    assert_eq!(one["proofs"], 1);
    let [key] = &one["resident_keys"].as_array().unwrap()[..] else {
        panic!("{one}");
    };
    assert_eq!(key["bytes"], one["key_load"]["card"]["bytes_to_card"]);
    assert_eq!(key["in_use"], false);
    let overlap = one["card"]["overlap"].as_object().unwrap();
    let mut figures = overlap.iter();
    assert!(figures.all(|(name, figure)| *figure == 0 || name == "cycles" && figure.is_null()));
}

/// From the first proof's first sum to the last one's last the adder is busy: what else there is to do runs beside it.
#[cfg(feature = "rtl")]
#[test]
fn two_proofs_keep_the_adder_busy() {
    let bench = [
        "bench", "groth16", "--engine", "sim:rtl", "--log2", "10", "--proofs", "2",
    ];
    let result = json(&bench);
    let share = result["adder_share"].as_f64().unwrap();
    // Windows are few and tails are long in sums of this size: 0.99 at 2^14.
    assert!((0.5..=1.0).contains(&share), "{share}");
    let sums = result["card"]["overlap"]["sums"]["elapsed_cycles"]
        .as_u64()
        .unwrap();
    let by = &result["card"]["cycles_by"];
    let commands = by["msm"].as_u64().unwrap() + by["msm_g2"].as_u64().unwrap();
    // The sums follow one another closely, although the second proof's operands came meanwhile. Commands that overlap by the
    // end of one and the beginning of the next count those cycles twice.
    assert!(
        sums + sums / 100 >= commands && sums < commands + commands / 10,
        "{sums} {commands}"
    );
    assert!(
        sums < result["card"]["overlap"]["elapsed_cycles"]
            .as_u64()
            .unwrap()
    );
}

#[test]
fn bench_groth16_shows_what_was_sent_while_rows_were_computed() {
    // DMA memory of 1 MiB: blocks of 2048 rows.
    let bench = [
        "bench",
        "groth16",
        "--engine",
        "sim:model",
        "--log2",
        "13",
        "--dma-memory",
        "1",
    ];
    let result = json(&bench);
    assert!(result["record_seconds"].as_f64().unwrap() > 0.0);
    let rows = &result["card"]["rows"];
    assert_eq!(rows["bytes"], 64 << 13);
    assert!(rows["seconds"].as_f64().unwrap() > 0.0);
    let sent = rows["sent_meanwhile"].as_u64().unwrap();
    assert!(sent < result["card"]["bytes_to_card"].as_u64().unwrap());
    let text = String::from_utf8(carillon(&bench).stdout).unwrap();
    for row in [
        "constraints recorded",
        "computing rows of A and B",
        "bytes sent before all rows were there",
    ] {
        assert!(text.contains(row), "{text}");
    }
}

#[test]
fn bench_groth16_reports_every_phase() {
    let result = json(&["bench", "groth16", "--engine", "sim:model", "--log2", "4"]);
    assert_eq!(result["schema"], "carillon.bench.groth16/1");
    assert_eq!(result["verified"], true);
    assert_eq!(result["circuit"]["constraints"], 14);
    for phase in [
        "synthesis",
        "load",
        "ntt",
        "quotient",
        "h",
        "l",
        "a",
        "b1",
        "b2",
        "verify",
    ] {
        assert!(result["phases"][phase].is_f64(), "{phase}");
    }
    assert!(
        result["key_load"]["card"]["bytes_to_card"]
            .as_u64()
            .unwrap()
            > 0
    );
    // The card's own commands: four sums in G1 and one in G2.
    let sums = ["h", "l", "a", "b1", "b2"];
    assert!(
        sums.iter()
            .all(|sum| result["stages"][sum]["card"]["commands"] == 1)
    );
    // The model has no clock, and counts no additions.
    let card = &result["card"];
    assert!(
        card["cycles_by"]["msm_g2"].is_null() && card["cycles"].is_null(),
        "{card}"
    );
    assert!(result["stages"]["h"]["card"]["additions"].is_null());
    let text = carillon(&["bench", "groth16", "--engine", "sim:model", "--log2", "4"]);
    let text = String::from_utf8(text.stdout).unwrap();
    for row in ["card cycles", "msm_g2 cycles", "bytes to card", "verified"] {
        let line = text.lines().find(|line| line.contains(row)).unwrap();
        let clocked = row.ends_with("cycles");
        assert_eq!(line.contains("not modelled"), clocked, "{text}");
    }
    assert!(!text.contains("additions issued"), "{text}");
}

#[test]
fn set_up_prove_verify_and_everything_that_can_be_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (key, proof) = (path("key"), path("proof"));
    let made = json(&["setup", "--log2", "4", "--out", &key]);
    assert_eq!(made["origin"], "insecure_development");
    let proved = json(&[
        "prove",
        "--engine",
        "sim:model",
        "--key",
        &key,
        "--out",
        &proof,
        "--seed",
        "3",
    ]);
    let input = proved["public_inputs"][0].as_str().unwrap().to_owned();
    let verify = ["verify", "--key", &key, "--proof", &proof, "--input"];
    let result = json(&[&verify[..], &[input.as_str()]].concat());
    assert_eq!(
        (&result["schema"], &result["valid"]),
        (&"carillon.verify/1".into(), &true.into())
    );

    // Another statement, no statement, no number, a number beyond r.
    let other = format!("{:064x}", 5);
    let message = failure(5, &[&verify[..], &[other.as_str()]].concat());
    assert!(message.contains("does not verify"), "{message}");
    failure(4, &verify[..5]);
    failure(4, &[&verify[..], &["xyz"]].concat());
    failure(4, &[&verify[..], &["ff".repeat(32).as_str()]].concat());

    // A damaged proof, a truncated and a damaged key, a key of another circuit.
    let mut bytes = fs::read(&proof).unwrap();
    bytes.truncate(100);
    fs::write(path("short"), bytes).unwrap();
    let message = failure(4, &["verify", "--key", &key, "--proof", &path("short")]);
    assert!(message.contains("100 bytes"), "{message}");
    // What has no end is not read to its end.
    let message = failure(4, &["verify", "--key", &key, "--proof", "/dev/zero"]);
    assert!(message.contains("/dev/zero has more than"), "{message}");
    let message = failure(4, &["engines", "--config", "/dev/zero"]);
    assert!(message.contains("/dev/zero has more than"), "{message}");
    let whole = fs::read(&key).unwrap();
    fs::write(path("cut"), &whole[..whole.len() - 1]).unwrap();
    let message = failure(4, &["prove", "--key", &path("cut"), "--out", &proof]);
    assert!(message.contains("cut off"), "{message}");
    let mut damaged = whole;
    damaged[5000] ^= 1;
    fs::write(path("damaged"), damaged).unwrap();
    let message = failure(4, &["prove", "--key", &path("damaged"), "--out", &proof]);
    assert!(message.contains("corrupt"), "{message}");
    failure(
        4,
        &["setup", "--log2", "4", "--out", &path("no/such/folder/key")],
    );
    assert!(!Path::new(&path("no")).exists());
}

#[test]
fn engines_are_listed_and_missing_ones_say_how_to_get_them() {
    let listed = json(&["engines"]);
    let engines = listed["engines"].as_array().unwrap();
    let names: Vec<_> = engines
        .iter()
        .map(|engine| engine["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["cpu", "sim:rtl", "sim:rtl-structural", "sim:model"]);
    assert_eq!(engines[0]["status"], "available");
    assert_eq!(engines[3]["status"], "available");
    assert_eq!(engines[3]["info"]["name"], "sim:model");
    for (engine, built) in [
        (&engines[1], cfg!(feature = "rtl")),
        (&engines[2], cfg!(feature = "rtl-structural")),
    ] {
        assert_eq!(
            engine["status"],
            if built { "available" } else { "not built" }
        );
        let name = engine["name"].as_str().unwrap();
        if !built {
            let message = failure(3, &["bench", "msm", "--log2", "2", "--engine", name]);
            assert!(message.contains("--features rtl"), "{message}");
        }
    }
}

#[test]
fn wrong_usage_and_wrong_sizes_have_their_codes() {
    for args in [
        &["bench", "msm", "--log2", "4", "--engine", "fpga"][..],
        &["bench", "msm"],
        &["bench", "msm", "--log2", "4", "--dist", "odd"],
        &["frobnicate"],
    ] {
        assert_eq!(code(&carillon(args)), 2, "{args:?}");
    }
    let message = failure(
        4,
        &[
            "bench",
            "msm",
            "--log2",
            "2",
            "--engine",
            "sim:model",
            "--window-bits",
            "99",
        ],
    );
    assert!(message.contains("99 window bits"), "{message}");
    let help = carillon(&["--help"]);
    assert!(
        String::from_utf8(help.stdout)
            .unwrap()
            .contains("Exit codes:")
    );
}

#[test]
fn the_variable_of_worker_threads_is_read_or_refused() {
    for (given, expected) in [("", 0), ("2", 0), ("0", 4), ("junk", 4), ("1000000", 4)] {
        let mut command = command(&["engines", "--json"]);
        let output = command.env("TOKIO_WORKER_THREADS", given).output().unwrap();
        assert_eq!(code(&output), expected, "{given}");
        let object: Value = serde_json::from_slice(&output.stdout).unwrap();
        let refused = object["schema"] == "carillon.error/1";
        assert_eq!(refused, expected != 0, "{object}");
    }
}

#[test]
fn the_engine_comes_from_option_then_environment_then_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    fs::write(&file, "engine = \"sim:model\"\n").unwrap();
    let run = |environment: Option<&str>, option: &[&str]| {
        let mut command = command(&["bench", "ntt", "--log2", "2", "--json", "--config"]);
        command.arg(&file).args(option);
        if let Some(engine) = environment {
            command.env("CARILLON_ENGINE", engine);
        }
        let output = command.output().unwrap();
        let result: Value = serde_json::from_slice(&output.stdout).unwrap();
        result["engine"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(run(None, &[]), "sim:model");
    assert_eq!(run(Some("cpu"), &[]), "cpu");
    assert_eq!(run(Some("cpu"), &["--engine", "sim:model"]), "sim:model");
    fs::write(&file, "motor = 1\n").unwrap();
    let file = file.to_str().unwrap();
    let message = failure(4, &["engines", "--config", file]);
    assert!(message.contains("motor"), "{message}");
}

/// Runs `script` in bash, with `carillon` and its arguments as "$@".
fn bash(script: &str, args: &[&str]) -> Output {
    Command::new("bash")
        .args([
            "-c",
            script,
            env!("CARGO_BIN_EXE_carillon"),
            env!("CARGO_BIN_EXE_carillon"),
        ])
        .args(args)
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .env_remove("CARILLON_TRACE")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// As a disk without space: whatever is written to a file fails.
const FULL_DISK: &str = "trap '' XFSZ; ulimit -f 0; exec \"$@\"";

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    for args in [
        &["engines"][..],
        &["engines", "--json"],
        &["list"],
        &["--help"],
        &["--version"],
        &["prove", "--help"],
        &["completions", "bash"],
        &["bench", "ntt", "--log2", "2"],
        &["validate", "sim:model"],
    ] {
        let full = bash("exec \"$@\" > /dev/full", args);
        assert_eq!(code(&full), 3, "{args:?}");
        let said = text(&full.stderr);
        assert_eq!(
            said.matches("standard output").count(),
            1,
            "{args:?}: {said}"
        );
        // A reader that is gone is how `| head` ends.
        let closed = bash("set -o pipefail; \"$@\" | true", args);
        assert_eq!(code(&closed), 0, "{args:?}: {}", text(&closed.stderr));
    }
    // An error stays the one that it is.
    let full = bash(
        "exec \"$@\" > /dev/full",
        &["verify", "--key", "no", "--proof", "no"],
    );
    assert_eq!(code(&full), 4);
}

#[test]
fn results_are_written_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (key, proof) = (at("key"), at("proof"));
    let setup = ["setup", "--log2", "3", "--out", &key];
    json(&setup);
    let made = fs::read(&key).unwrap();

    // A key is not replaced, nor even begun.
    let other = ["setup", "--log2", "22", "--seed", "1", "--out", &key];
    let message = failure(4, &other);
    assert!(message.contains("--force"), "{message}");
    assert_eq!(fs::read(&key).unwrap(), made);
    let again = ["setup", "--log2", "3", "--seed", "1", "--out", &key];
    json(&[&again[..], &["--force"]].concat());
    assert_ne!(fs::read(&key).unwrap(), made);

    // Nor by a proof, under no name of it.
    let made = fs::read(&key).unwrap();
    std::os::unix::fs::symlink(&key, at("link")).unwrap();
    for out in [&key, &at("link")] {
        let message = failure(4, &["prove", "--key", &key, "--out", out]);
        assert!(message.contains("is the key"), "{message}");
        assert_eq!(fs::read(&key).unwrap(), made);
    }
    fs::remove_file(at("link")).unwrap();

    // A path that cannot be written is refused before the key is read.
    for out in [
        at("no/such/folder/proof"),
        at(""),
        at("new/"),
        at(&"n".repeat(300)),
    ] {
        let message = failure(4, &["prove", "--key", "missing", "--out", &out]);
        assert!(message.contains(out.trim_end_matches('/')), "{message}");
    }
    let full = bash(FULL_DISK, &["prove", "--key", &key, "--out", &proof]);
    assert_eq!(code(&full), 3, "{}", text(&full.stderr));
    assert!(
        text(&full.stderr).contains("no space left"),
        "{}",
        text(&full.stderr)
    );
    let full = bash(FULL_DISK, &["setup", "--log2", "3", "--out", &at("other")]);
    assert_eq!(code(&full), 3, "{}", text(&full.stderr));
    let names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["key"]);

    // Devices are written to, not replaced.
    let full = carillon(&["prove", "--key", &key, "--out", "/dev/full"]);
    assert_eq!(code(&full), 3, "{}", text(&full.stderr));
    assert_eq!(
        code(&carillon(&["prove", "--key", &key, "--out", "/dev/null"])),
        0
    );
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}

#[test]
fn a_key_that_no_card_holds_is_refused_before_set_up() {
    let output = carillon(&["bench", "groth16", "--engine", "sim:model", "--log2", "19"]);
    let err = text(&output.stderr);
    assert_eq!(code(&output), 4, "{err}");
    assert!(err.contains("of card memory"), "{err}");
    assert!(!err.contains("development key"), "set-up has begun: {err}");
}

#[test]
fn what_cannot_fit_into_memory_is_refused_first() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("key");
    let out = out.to_str().unwrap();
    let limited = "ulimit -v 4000000; exec \"$@\"";
    for args in [
        &["setup", "--log2", "24", "--out", out][..],
        &["bench", "groth16", "--log2", "24"],
        &["bench", "msm", "--log2", "24"],
        &["bench", "ntt", "--log2", "24"],
    ] {
        let refused = bash(limited, args);
        let said = text(&refused.stderr);
        assert_eq!(code(&refused), 4, "{args:?}: {said}");
        assert!(
            said.contains("needs about") && said.contains("RLIMIT_AS"),
            "{said}"
        );
        assert!(
            !said.contains("making an INSECURE"),
            "before the work: {said}"
        );
    }
    let fits = bash(limited, &["bench", "groth16", "--log2", "8"]);
    assert_eq!(code(&fits), 0, "{}", text(&fits.stderr));
    let tight = bash(
        "ulimit -v 300000; exec \"$@\"",
        &["bench", "ntt", "--log2", "20"],
    );
    assert_eq!(code(&tight), 4, "{}", text(&tight.stderr));
}

/// Estimates are above what is used, and not far above.
#[test]
fn estimates_of_memory_hold() {
    const LOG2: u32 = 14;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (key, proof) = (at("key"), at("proof"));
    let constraints = (1 << LOG2) - 2;
    let shape = CircuitShape {
        constraints,
        inputs: 2,
        aux: constraints,
    };
    let terms = 4 * constraints as u64;
    let log2 = LOG2.to_string();
    let runs = [
        (
            vec!["bench", "ntt", "--log2", "18"],
            memory::of_ntt(1 << 18),
        ),
        (
            vec!["setup", "--log2", &log2, "--out", &key],
            memory::of_setup(shape, terms),
        ),
        (
            vec!["prove", "--key", &key, "--out", &proof],
            memory::of_key(shape) + memory::of_proof(shape) + memory::of_sum_in_g2(shape),
        ),
        (
            vec![
                "prove",
                "--key",
                &key,
                "--out",
                &proof,
                "--engine",
                "sim:model",
            ],
            memory::of_key(shape) + memory::of_proof(shape) + memory::of_card(shape),
        ),
    ];
    for (args, estimate) in runs {
        let mut child = command(&args).stdout(Stdio::null()).spawn().unwrap();
        // The kernel keeps the peak for as long as the process is not waited for.
        let status = format!("/proc/{}/status", child.id());
        let mut peak = 0;
        while child.try_wait().unwrap().is_none() {
            let now = fs::read_to_string(&status).unwrap_or_default();
            let line = now.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            peak = peak.max(kib.unwrap_or(0) * 1024);
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        println!(
            "{args:?}: estimate {} KiB, peak {} KiB",
            estimate >> 10,
            peak >> 10
        );
        assert!(
            peak <= estimate,
            "{args:?}: {estimate} estimated, {peak} used"
        );
        assert!(
            peak >= estimate / 4,
            "{args:?}: {estimate} estimated, {peak} used"
        );
    }
}

#[test]
fn wrong_usage_is_an_object_where_json_is_asked_for() {
    for args in [
        &["frobnicate"][..],
        &["prove"],
        &["bench", "msm", "--log2", "99"],
    ] {
        let message = failure(2, args);
        assert!(message.contains("--help"), "{message}");
        let plain = carillon(args);
        assert!(plain.stdout.is_empty() && !plain.stderr.is_empty());
    }
}

/// On a terminal of 60 columns; `script` is part of every Debian.
#[test]
fn a_terminal_shows_each_check_once() {
    let run = |command: &str| {
        let carillon = env!("CARGO_BIN_EXE_carillon");
        let command = format!(
            "stty rows 24 cols 60; {}",
            command.replace("carillon", carillon)
        );
        let output = Command::new("script")
            .args(["-qec", &command, "/dev/null"])
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(code(&output), 0);
        text(&output.stdout).replace('\r', "")
    };
    let shown = run("carillon validate sim:model 2>/dev/null");
    assert_eq!(shown.matches("controller status").count(), 1, "{shown}");
    assert!(shown.contains("\u{1b}[32mok  \u{1b}[0m"), "{shown:?}");
    let plain = run("NO_COLOR=1 carillon validate sim:model 2>/dev/null");
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
    // The texts of the checks are long: they go below, and no word is broken.
    assert!(
        plain.lines().all(|line| line.chars().count() <= 60),
        "{plain}"
    );
    let words: Vec<_> = plain.split_whitespace().collect();
    assert!(words.join(" ").contains("driver's counters"), "{plain}");
    assert!(
        words.contains(&"configuration") && words.contains(&"interrupt"),
        "{plain}"
    );
    let piped = run("carillon validate sim:model 2>/dev/null | cat");
    assert!(!piped.contains('\u{1b}'), "{piped:?}");
    // With its progress on the same terminal, too, no line comes twice.
    let both = run("carillon validate sim:model");
    assert!(!both.contains("controller status: ok"), "{both:?}");
}

#[test]
fn logs_in_files_have_no_colours() {
    let logged = command(&["bench", "ntt", "--engine", "sim:model", "--log2", "2"])
        .env("RUST_LOG", "debug")
        .env_remove("NO_COLOR")
        .output()
        .unwrap();
    let log = text(&logged.stderr);
    assert!(log.contains("card open"), "{log}");
    assert!(!log.contains('\u{1b}'), "{log:?}");
}

/// The steps of the example's CI workflow, as a runner does them. Those of cargo are what this very
/// run of the tests has built; that they name packages which exist is looked at.
#[test]
fn the_workflow_with_a_simulated_card_runs() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples/prove/.github/workflows/carillon.yml");
    let parsed = YamlLoader::load_from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let job = &parsed[0]["jobs"]["prove"];
    let engine = job["env"]["CARILLON_ENGINE"].as_str().unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_carillon"));
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", program.parent().unwrap().display());
    let mut ran = Vec::new();
    for step in job["steps"].as_vec().unwrap() {
        let Some(run) = step["run"].as_str() else {
            assert!(step["uses"].as_str().is_some(), "{step:?}");
            continue;
        };
        if run.starts_with("cargo ") {
            for package in run.split(" -p ").skip(1) {
                let name = package.split_whitespace().next().unwrap();
                assert!(
                    ["carillon-cli", "carillon-example-prove"].contains(&name),
                    "{run}"
                );
            }
            continue;
        }
        let output = Command::new("bash")
            .args(["-e", "-o", "pipefail", "-c", run])
            .env("PATH", &path)
            .env("CARILLON_ENGINE", engine)
            .env("RUNNER_TEMP", temporary.path())
            .env("GITHUB_PATH", temporary.path().join("path"))
            .env("XDG_CONFIG_HOME", temporary.path())
            .output()
            .unwrap();
        let said = format!("{run}\n{}{}", text(&output.stdout), text(&output.stderr));
        assert_eq!(code(&output), 0, "{said}");
        ran.extend(
            run.lines()
                .filter(|line| line.starts_with("carillon "))
                .map(str::to_owned),
        );
    }
    for command in ["doctor", "validate", "setup", "prove", "verify"] {
        let begins = format!("carillon {command} ");
        assert!(
            ran.iter().any(|line| line.starts_with(&begins)),
            "{command}"
        );
    }
}

#[test]
fn completions_name_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let output = carillon(&["completions", shell]);
        assert_eq!(code(&output), 0);
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(
            script.contains("bench") && script.contains("window-bits"),
            "{shell}"
        );
    }
}
