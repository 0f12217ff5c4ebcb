//! The `carillon` binary: output, JSON schemas and exit codes.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers fail the test that calls them

mod binary;

use std::fs;
use std::path::Path;
use std::process::Output;

use binary::{carillon, command};
use serde_json::Value;

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
    for kind in ["forward", "inverse", "coset-forward", "coset-inverse"] {
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
    let text = carillon(&["bench", "groth16", "--engine", "sim:model", "--log2", "4"]);
    let text = String::from_utf8(text.stdout).unwrap();
    for row in [
        "card cycles",
        "additions issued",
        "occupancy",
        "bytes to card",
        "verified",
    ] {
        assert!(text.contains(row), "{text}");
    }
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
