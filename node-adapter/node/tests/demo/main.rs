//! The `carillon-node` binary: the demo from transfer to settlement on real anvil, its JSON, and the
//! errors and exit codes of wrong inputs. The demo on the Verilated card is `make demo`. `pages` runs
//! the commands of the pages.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod pages;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The binary, without the user's own configuration.
fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_carillon-node"));
    command.args(args).stdin(Stdio::null());
    for variable in ["CARILLON_ENGINE", "CARILLON_ANVIL", "CARILLON_NODE_CONFIG"] {
        command.env_remove(variable);
    }
    // Development keys are kept between runs of the tests, beside the build.
    command
        .env("XDG_CONFIG_HOME", scratch("no-configuration"))
        .env("CARILLON_KEY_DIR", scratch("keys"));
    command
}

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn run(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs with `--json` and expects success.
fn json(args: &[&str]) -> Value {
    let output = run(&[args, &["--json"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs with `--json` and expects an error object with this exit code; returns its message.
fn failure(expected: i32, command: &mut Command) -> String {
    let output = command.arg("--json").output().unwrap();
    let code = output.status.code();
    assert_eq!(code, Some(expected), "{}", text(&output.stderr));
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["schema"], "carillon.error/1");
    assert_eq!(object["code"], expected);
    let message = object["message"].as_str().unwrap().to_owned();
    assert!(text(&output.stderr).contains(&message));
    message
}

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("no number: {value}"))
}

/// What every settled demo must say, on whichever engine.
fn assert_settled(report: &Value, engine: &str, transfers: u64) {
    assert_eq!(report["schema"], "carillon.demo/2");
    assert_eq!(report["outcome"], "settled");
    assert_eq!(report["engine"], engine);
    assert_eq!(report["transfers"], transfers);
    assert_eq!(report["operations"], transfers + 4);
    assert_eq!(report["key"]["origin"], "insecure_development");
    assert!(number(&report["constraints"]) > 3_500 * (transfers + 4));
    assert!(report["proof"]["wall_seconds"].as_f64().unwrap() > 0.0);
    let phases = &report["proof"]["phases"];
    for phase in ["synthesis", "ntt", "h", "l", "a", "b1", "b2"] {
        assert!(phases[phase].as_f64().unwrap() > 0.0, "{phase}: {phases}");
    }

    let settlement = &report["settlement"];
    assert_eq!(settlement["batch_number"], 1);
    // Three words, and five for each of two deposits, a withdrawal and a bundle.
    assert_eq!(settlement["header_words"], 3 + 5 * 4);
    assert_ne!(settlement["old_root"], settlement["new_root"]);
    for (field, digits) in [
        ("old_root", 64),
        ("new_root", 64),
        ("transaction", 64),
        ("versioned_hash", 64),
        ("rollup", 40),
        ("bridge", 40),
    ] {
        let value = settlement[field].as_str().unwrap();
        let hex = value.strip_prefix("0x").unwrap();
        assert_eq!(hex.len(), digits, "{field}");
        assert!(hex.bytes().all(|b| b.is_ascii_hexdigit()), "{field}");
    }
    let gas = number(&settlement["gas"]);
    assert!((300_000..600_000).contains(&gas), "{gas}");
    for what in ["withdrawal", "bundle"] {
        assert!(number(&report[what]["gas"]) > 21_000, "{what}");
    }
    assert_eq!(report["bundle"]["queue_entries"], 2);

    // What came in is on the rollup, was withdrawn, or is in the bundle.
    let balances = report["balances"].as_array().unwrap();
    let wei = |balance: &Value| balance["wei"].as_str().unwrap().parse::<u128>().unwrap();
    let milli = 1_000_000_000_000_000;
    let held: u128 = balances.iter().map(wei).sum();
    assert_eq!(held, (2000 - 250 - 300) * milli);

    let refused = report["refused"].as_array().unwrap();
    let errors: Vec<_> = refused
        .iter()
        .map(|r| r["error"].as_str().unwrap())
        .collect();
    let expected = [
        "ProofInvalid",
        "ProofInvalid",
        "QueueMismatch",
        "NotTheBlobsCommitment",
        "BatchAlreadyCommitted",
    ];
    assert_eq!(errors, expected);
}

/// One test damages the key that others read, for a moment.
static KEY: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[test]
fn operations_are_settled_through_the_cpu_and_the_model_card() {
    let _alone = KEY.lock();
    let cpu = json(&["demo", "--engine", "cpu", "--txs", "1", "--seed", "7"]);
    assert_settled(&cpu, "cpu", 1);
    assert_eq!(cpu["proof"]["card"], Value::Null);

    // The same seed makes the same batch; the key comes from the cache; the card counts.
    let args = ["demo", "--engine", "sim:model", "--txs", "1", "--seed", "7"];
    let model = json(&args);
    assert_settled(&model, "sim:model", 1);
    assert_eq!(model["key"]["made"], false);
    assert!(number(&model["proof"]["card"]["bytes_to_card"]) > 0);
    assert!(number(&model["proof"]["card"]["butterflies"]) > 0);
    for field in ["old_root", "new_root", "versioned_hash", "public_inputs"] {
        assert_eq!(model["settlement"][field], cpu["settlement"][field]);
    }

    // As a table, in a batch that is not full, from a configuration file, with progress as lines.
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("node.toml");
    std::fs::write(&config, "engine = \"cpu\"\ntxs = 1\nseed = 8\n").unwrap();
    let output = run(&["demo", "--config", config.to_str().unwrap()]);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{stderr}");
    assert_eq!(stdout.lines().last(), Some("settled"));
    for row in [
        "operations",
        "constraints",
        "proving time",
        "card cycles",
        "gas of the settlement",
        "gas of the bundle",
        "transaction",
        "old root",
        "new root",
        "refused: a replayed batch",
    ] {
        assert!(
            stdout.lines().any(|line| line.trim().starts_with(row)),
            "{row}: {stdout}"
        );
    }
    assert!(stdout.contains("INSECURE development key"));
    assert!(
        stderr.lines().any(|line| line.starts_with("settlement: ")),
        "{stderr}"
    );
    assert!(
        !stdout.contains(settled_root(&cpu)),
        "another seed is another batch"
    );

    // A damaged key is refused and stays, here as everywhere.
    let path = cpu["key"]["path"].as_str().unwrap();
    let bytes = std::fs::read(path).unwrap();
    let damaged = &bytes[..bytes.len() / 2];
    std::fs::write(path, damaged).unwrap();
    let mut again = command(&["demo", "--engine", "cpu", "--txs", "1", "--seed", "7"]);
    let message = failure(4, &mut again);
    let left = std::fs::read(path).unwrap();
    std::fs::write(path, &bytes).unwrap();
    assert!(message.contains("left as it is"), "{message}");
    assert_eq!(left, damaged);

    // Without a home no key goes where others can write.
    let mut homeless = command(&["demo", "--engine", "cpu", "--txs", "1"]);
    for variable in ["CARILLON_KEY_DIR", "HOME", "XDG_CACHE_HOME"] {
        homeless.env_remove(variable);
    }
    let message = failure(4, &mut homeless);
    assert!(message.contains("--key-dir"), "{message}");
}

fn settled_root(report: &Value) -> &str {
    report["settlement"]["new_root"].as_str().unwrap()
}

#[test]
fn wrong_inputs_end_with_their_exit_code() {
    let usage = |args: &[&str]| {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        text(&output.stderr)
    };
    assert!(usage(&["demo", "--txs", "two"]).contains("--txs"));
    assert!(usage(&["demo", "--engine", "fpga"]).contains("sim:model"));
    assert!(usage(&["demo", "--colour"]).contains("--colour"));
    usage(&[]);

    let demo = |args: &[&str]| command(&[&["demo", "--engine", "cpu"], args].concat());
    let message = failure(4, &mut demo(&["--txs", "3", "--batch-capacity", "2"]));
    assert!(message.contains("do not fit a batch of 2"), "{message}");
    let message = failure(4, &mut demo(&["--txs", "100000"]));
    assert!(message.contains("100000"), "{message}");

    let message = failure(3, &mut demo(&["--anvil", "no/such/anvil"]));
    assert!(message.contains("no/such/anvil"), "{message}");
    let mut nowhere = demo(&[]);
    let empty = tempfile::tempdir().unwrap();
    nowhere
        .env("CARILLON_TOOLS", empty.path())
        .env("PATH", empty.path());
    let message = failure(3, &mut nowhere);
    assert!(message.contains("make setup"), "{message}");

    let config = empty.path().join("node.toml");
    let with_config = |text: &str| {
        std::fs::write(&config, text).unwrap();
        failure(4, &mut demo(&["--config", config.to_str().unwrap()]))
    };
    assert!(with_config("colour = 1").contains("colour"));
    assert!(with_config("engine = \"fpga\"").contains("sim:model"));
    assert!(with_config("txs = -1").contains("node.toml"));
    assert!(with_config("txs = 2\nbatch_capacity = 5").contains("do not fit"));
    let message = failure(4, &mut demo(&["--config", "no/such/file"]));
    assert!(message.contains("no/such/file"), "{message}");
}

#[test]
#[cfg(not(feature = "rtl"))]
fn the_default_engine_says_how_it_is_built() {
    let message = failure(3, &mut command(&["demo"]));
    assert!(message.contains("--features rtl"), "{message}");
}

#[test]
fn circuit_stats_and_completions() {
    let args = ["circuit", "stats", "--txs", "8", "--distinct", "3"];
    let stats = json(&[&args[..], &["--records", "4"]].concat());
    assert_eq!(stats["schema"], "carillon.circuit.stats/2");
    assert_eq!(stats["public_inputs"], 5);
    let sum = |parts: &Value| {
        let parts = parts.as_array().unwrap();
        parts
            .iter()
            .map(|part| number(&part["constraints"]))
            .sum::<u64>()
    };
    let cells = stats["cell_parts"].as_array().unwrap();
    let order = cells.iter().find(|part| part["name"] == "order").unwrap();
    // The first balance has none before it to be in order with.
    assert_eq!(
        number(&stats["constraints"]) + number(&order["constraints"]),
        8 * sum(&stats["transfer_parts"])
            + 3 * sum(&stats["cell_parts"])
            + sum(&stats["batch_parts"])
    );
    let message = failure(4, &mut command(&["circuit", "stats", "--txs", "0"]));
    assert!(message.contains("slots"), "{message}");

    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]);
        assert!(script.status.success());
        assert!(text(&script.stdout).contains("batch-capacity"), "{shell}");
    }
    let help = text(&run(&["--help"]).stdout);
    assert!(
        help.contains("Exit codes:") && help.contains("130"),
        "{help}"
    );
}

/// Ends the process it holds, also when the test fails.
struct Guard(std::process::Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[cfg(unix)]
fn an_interrupted_demo_leaves_no_node_running() {
    // A stand-in that never listens and says where it runs: what is looked at is the process.
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (program, pid) = (folder.path().join("anvil"), folder.path().join("pid"));
    let script = format!("#!/bin/sh\necho $$ > {}\nexec sleep 600\n", pid.display());
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let anvil = program.to_str().unwrap();
    let mut demo = command(&["demo", "--engine", "cpu", "--anvil", anvil]);
    let demo = demo.stdout(Stdio::null()).stderr(Stdio::null());
    let mut demo = Guard(demo.spawn().unwrap());
    let node = wait_for(|| {
        std::fs::read_to_string(&pid)
            .ok()?
            .trim()
            .parse::<u32>()
            .ok()
    });

    let id = demo.0.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    let status = wait_for(|| demo.0.try_wait().unwrap());
    assert_eq!(status.code(), Some(130));
    let alive = || {
        Command::new("kill")
            .args(["-0", &node.to_string()])
            .output()
            .unwrap()
    };
    wait_for(|| (!alive().status.success()).then_some(()));
}

/// A demo on the CPU, as far as its step `witness`; and the anvil that it has started.
#[cfg(target_os = "linux")]
fn demo_in_its_witness() -> (Guard, u32, std::sync::mpsc::Receiver<String>) {
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::CommandExt;
    let mut demo = command(&["demo", "--engine", "cpu", "--txs", "1", "--seed", "7"]);
    // A process group of its own, as a shell makes it.
    let demo = demo
        .process_group(0)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut demo = Guard(demo.spawn().unwrap());
    let errors = demo.0.stderr.take().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(errors).lines().map_while(Result::ok) {
            let _ = tell.send(line);
        }
    });
    let mut seen = Vec::new();
    loop {
        // It may have to make its key first.
        let line = told.recv_timeout(Duration::from_secs(900));
        let line = line.unwrap_or_else(|end| panic!("{end:?} after {seen:?}"));
        if line.starts_with("witness") {
            break;
        }
        seen.push(line);
    }
    let parent = demo.0.id();
    let processes = std::fs::read_dir("/proc").unwrap();
    let mut children = processes.filter_map(|entry| {
        let stat = std::fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
        let (head, tail) = stat.rsplit_once(')')?;
        let (id, name) = head.split_once(" (")?;
        let of = tail.split_whitespace().nth(1)?.parse::<u32>().ok()?;
        (of == parent && name == "anvil").then(|| id.parse().ok())?
    });
    let anvil = children.next().unwrap();
    (demo, anvil, told)
}

/// Whether a process runs; one that has ended and was not yet collected does not.
#[cfg(target_os = "linux")]
fn runs(id: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{id}/stat"))
        .ok()
        .and_then(|stat| Some(stat.rsplit_once(')')?.1.trim().starts_with(['Z', 'X'])))
        .is_some_and(|ended| !ended)
}

#[test]
#[cfg(target_os = "linux")]
fn an_interrupt_while_the_witness_is_made_ends_the_demo() {
    let _alone = KEY.lock();
    let (mut demo, anvil, lines) = demo_in_its_witness();
    // As a terminal does it: to the whole group.
    let group = format!("-{}", demo.0.id());
    let sent = Command::new("kill").args(["-INT", "--", &group]).status();
    assert!(sent.unwrap().success());
    let status = wait_for(|| demo.0.try_wait().unwrap());
    assert_eq!(status.code(), Some(130));
    let rest: Vec<String> = lines.iter().collect();
    assert!(
        !rest.iter().any(|line| line.starts_with("proof")),
        "it went on: {rest:?}"
    );
    wait_gone(|| !runs(anvil));
}

#[test]
#[cfg(target_os = "linux")]
fn a_killed_demo_leaves_no_node_running() {
    let _alone = KEY.lock();
    let (mut demo, anvil, _lines) = demo_in_its_witness();
    assert!(runs(anvil));
    demo.0.kill().unwrap();
    demo.0.wait().unwrap();
    wait_gone(|| !runs(anvil));
}

#[test]
fn a_first_make_demo_shows_what_it_builds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let recipe = |target: &Path| {
        let made = Command::new("make")
            .args(["--dry-run", "--no-print-directory", "demo"])
            .current_dir(&root)
            .env("CARGO_TARGET_DIR", target)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", text(&made.stderr));
        text(&made.stdout)
    };
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe(folder.path());
    let build = recipe.lines().find(|line| line.contains("cargo build"));
    let build = build.unwrap_or_else(|| panic!("no build: {recipe}"));
    assert!(
        !build.contains("--quiet") && !build.contains("-q "),
        "{build}"
    );
    assert!(recipe.contains("minutes"), "{recipe}");
}

/// Waits until something is true, for thirty seconds at most.
fn wait_gone(mut gone: impl FnMut() -> bool) {
    let started = Instant::now();
    while !gone() {
        assert!(started.elapsed() < Duration::from_secs(30), "still there");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Asks again until there is an answer, for ten seconds at most.
fn wait_for<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "no answer");
        std::thread::sleep(Duration::from_millis(20));
    }
}
