//! Operator commands on simulated cards, in the command's own process and behind a vfio-user
//! socket: sound ones, busy ones, defective ones, and one with another gateware.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers fail the test that calls them

mod binary;

use std::path::PathBuf;
use std::sync::Arc;

use binary::carillon;
use carillon_cli::{DOCTOR, EXIT_CODES, INTERRUPTED};
use carillon_driver::transport::Transport;
use carillon_runtime::card::{self, CardAddress};
use carillon_sim::card::SimCard;
use carillon_sim::faults::{CardFault, InterruptFault};
use carillon_sim::memory::MemoryFault;
use carillon_sim::model::{ModelCard, ModelOptions};
use carillon_sim::vfio_user::{ClientCard, Server};
use serde_json::{Value, json};

/// The object printed, and the exit code.
#[track_caller]
fn run(args: &[&str]) -> (Value, i32) {
    let output = carillon(&[args, &["--json"]].concat());
    let object = serde_json::from_slice(&output.stdout);
    let object = object.unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (object, output.status.code().unwrap())
}

#[track_caller]
fn success(args: &[&str]) -> Value {
    let (object, code) = run(args);
    assert_eq!(code, 0, "{object}");
    object
}

/// A card behind a socket, in this process.
struct Served {
    card: Arc<ModelCard>,
    socket: PathBuf,
    _server: Server,
    _folder: tempfile::TempDir,
}

impl Served {
    fn new(options: ModelOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("card.sock");
        let card = Arc::new(ModelCard::new(options).unwrap());
        let server = Server::start(&socket, Arc::clone(&card) as Arc<dyn SimCard>).unwrap();
        Self {
            card,
            socket,
            _server: server,
            _folder: folder,
        }
    }

    /// As users write it.
    fn name(&self) -> String {
        format!("vfio-user:{}", self.socket.display())
    }
}

fn small() -> ModelOptions {
    ModelOptions {
        memory_bytes: 8 << 20,
        ..ModelOptions::default()
    }
}

/// Names of the checks that passed, and of those that did not.
fn checks(report: &Value) -> (Vec<&str>, Vec<&str>) {
    let checks = report["checks"].as_array().unwrap().iter();
    let named = checks.map(|check| (check["name"].as_str().unwrap(), check["passed"] == true));
    let (passed, failed): (Vec<_>, Vec<_>) = named.partition(|(_, passed)| *passed);
    (
        passed.into_iter().map(|(name, _)| name).collect(),
        failed.into_iter().map(|(name, _)| name).collect(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_card_is_no_fault_of_the_machine() {
    let served = Served::new(small());
    let name = served.name();
    let address: CardAddress = name.parse().unwrap();
    let held = card::open_card(&address).await.unwrap();
    let (report, code) = run(&["doctor", &name]);
    assert_eq!(code, 0, "{report}");
    let findings = report["findings"].as_array().unwrap();
    let about: Vec<_> = findings
        .iter()
        .filter(|finding| finding["subject"].as_str().unwrap().contains(&name))
        .collect();
    assert_eq!(about.len(), 1, "{report}");
    assert_eq!(about[0]["severity"], "warn");
    assert!(
        about[0]["found"].as_str().unwrap().contains("in use"),
        "{report}"
    );
    // What would be refused, too, is not advised.
    assert!(
        !about[0]["fix"].as_str().unwrap().contains("examine"),
        "{report}"
    );
    // Every command that needs the card says the same.
    let msm = ["bench", "msm", "--log2", "2", "--engine"];
    for args in [&["validate"][..], &["examine"], &["reset"], &msm] {
        let (error, code) = run(&[args, &[name.as_str()]].concat());
        assert_eq!(code, 7, "{args:?}: {error}");
    }
    held.close().await;
}

#[test]
fn a_card_is_examined() {
    let mut object = success(&["examine", "sim:model"]);
    // Changes with the gateware, and with how often the driver was told of completions.
    assert!(
        object["identity"]["register_map"]
            .as_str()
            .unwrap()
            .starts_with("0x")
    );
    assert_eq!(
        object["identity"]["register_map"],
        object["identity"]["known_register_map"]
    );
    object["identity"]["register_map"] = json!("-");
    object["identity"]["known_register_map"] = json!("-");
    object["interrupts"] = json!(object["interrupts"].as_array().unwrap().len());
    insta::assert_snapshot!(serde_json::to_string_pretty(&object).unwrap());
    let text = String::from_utf8(carillon(&["examine", "sim:model"]).stdout).unwrap();
    for row in [
        "register map",
        "MSM",
        "NTT",
        "card memory",
        "driver counters",
        "interrupts",
    ] {
        assert!(text.contains(row), "{text}");
    }
    assert!(!text.contains("ODD"), "{text}");
}

#[test]
fn a_sound_card_passes_three_levels() {
    let mut object = success(&["validate", "-l", "3", "sim:model"]);
    assert_eq!(
        (&object["passed"], &object["level"]),
        (&true.into(), &3.into())
    );
    for check in object["checks"].as_array_mut().unwrap() {
        assert!(check["wall_seconds"].as_f64().unwrap() >= 0.0);
        check["wall_seconds"] = json!(0);
        let volatile = ["identity registers", "counters", "driver's counters"];
        if volatile.iter().any(|name| check["name"] == *name) {
            assert!(check["text"].as_str().unwrap().len() > 8);
            check["text"] = json!("-");
        }
    }
    insta::assert_snapshot!(serde_json::to_string_pretty(&object).unwrap());
}

#[test]
fn a_sound_card_passes_the_fourth_level() {
    let card = Served::new(small());
    let args = ["validate", "-l", "4", "--log2", "8", "--rounds", "4"];
    let object = success(&[&args[..], &[&card.name()]].concat());
    let (passed, failed) = checks(&object);
    assert!(failed.is_empty() && passed.len() == 25, "{object}");
    let text = carillon(&["validate", &card.name()]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.starts_with("ok    1  open, identity page"), "{text}");
    assert!(text.ends_with("5 checks passed\n"), "{text}");
}

#[test]
fn defective_memory_is_found_where_it_is() {
    let card = Served::new(small());
    let fault = |address| {
        CardFault::Memory(MemoryFault {
            address,
            bytes: 64,
            reads: true,
            writes: false,
        })
    };
    // The last bytes are a place of the sample.
    card.card.inject(fault((8 << 20) - 64)).unwrap();
    let (report, code) = run(&["validate", "-l", "2", &card.name()]);
    assert_eq!(code, 5, "{report}");
    assert_eq!(report["schema"], "carillon.validate/1");
    let (passed, failed) = checks(&report);
    // It stops there.
    assert_eq!((failed, passed.len()), (vec!["card memory, sample"], 8));
    let text = report["checks"][8]["text"].as_str().unwrap();
    assert!(
        text.contains("CARD_READ") && text.contains("0x7f0000"),
        "{text}"
    );
    // Between two places only the whole test finds it.
    card.card.inject(fault(5 << 20)).unwrap();
    let args = [
        "validate",
        "-l",
        "4",
        "--log2",
        "4",
        "--rounds",
        "1",
        "--keep-going",
    ];
    let (report, code) = run(&[&args[..], &[&card.name()]].concat());
    let (passed, failed) = checks(&report);
    assert_eq!(
        (code, failed, passed.len()),
        (5, vec!["card memory, all"], 24),
        "{report}"
    );
    card.card.heal();
    let output = carillon(&["validate", "-l", "2", &card.name()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn lost_interrupts_are_found() {
    let card = Served::new(small());
    let lost = CardFault::Interrupts {
        vector: 1,
        count: u32::MAX,
        change: InterruptFault::Lost,
    };
    card.card.inject(lost).unwrap();
    let (report, code) = run(&["validate", "-l", "2", "--keep-going", &card.name()]);
    let (_, failed) = checks(&report);
    assert_eq!((code, failed), (5, vec!["interrupts"]), "{report}");
}

#[test]
fn a_card_that_does_not_come_into_service_fails_its_first_check() {
    let card = Served::new(small());
    card.card.inject(CardFault::NeverReady).unwrap();
    let (report, code) = run(&["validate", &card.name()]);
    let (passed, failed) = checks(&report);
    assert_eq!(
        (code, passed.len(), failed),
        (5, 0, vec!["open, identity page"]),
        "{report}"
    );
    let (object, code) = run(&["reset", &card.name()]);
    assert_eq!(code, 6, "{object}");
    card.card.heal();
    let object = success(&["reset", "--level", "function", &card.name()]);
    assert_eq!(
        (&object["level"], &object["in_service"]),
        (&"function".into(), &true.into())
    );
}

#[test]
fn both_resets_bring_a_card_back() {
    for level in ["controller", "function"] {
        let object = success(&["reset", "sim:model", "--level", level]);
        assert_eq!(object["schema"], "carillon.reset/1");
        assert_eq!(
            (&object["level"], &object["in_service"]),
            (&level.into(), &true.into())
        );
    }
    let output = carillon(&["reset", "sim:model", "--level", "hard"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn another_gateware_is_shown_but_not_used() {
    let card = Served::new(ModelOptions {
        rdl_hash: 7,
        ..small()
    });
    let object = success(&["examine", &card.name()]);
    assert_eq!(object["identity"]["register_map"], "0x0000000000000007");
    assert!(object["capabilities"].is_null());
    let remark = object["remarks"][0].as_str().unwrap();
    assert!(remark.contains("load the gateware"), "{remark}");
    let text = String::from_utf8(carillon(&["examine", &card.name()]).stdout).unwrap();
    assert!(text.contains("ODD"), "{text}");
    let (error, code) = run(&["validate", &card.name()]);
    assert_eq!(
        (code, &error["schema"]),
        (3, &"carillon.error/1".into()),
        "{error}"
    );
    let (report, code) = run(&["doctor", &card.name()]);
    assert_eq!((code, &report["failed"]), (10, &1.into()), "{report}");
}

#[test]
fn a_card_that_is_busy_or_gone_says_so() {
    let card = Served::new(small());
    let client = ClientCard::connect(&card.socket).unwrap();
    for command in ["examine", "validate", "reset"] {
        let (error, code) = run(&[command, &card.name()]);
        assert_eq!(code, 7, "{error}");
    }
    let socket = card.socket.to_str().unwrap();
    assert_eq!(
        success(&["list", "--socket", socket])["cards"][0]["state"],
        "busy"
    );
    drop(client);
    success(&["examine", &card.name()]);
    assert_eq!(
        success(&["list", "--socket", socket])["cards"][0]["state"],
        "ready"
    );
}

#[test]
fn a_card_that_leaves_during_a_check_is_gone_not_defective() {
    let card = Served::new(small());
    let name = card.name();
    let examining = std::thread::spawn(move || {
        run(&[
            "validate",
            "-l",
            "4",
            "--log2",
            "8",
            "--rounds",
            "100000",
            "--keep-going",
            &name,
        ])
    });
    // Level 4 has begun when all of the memory has been written.
    let started = std::time::Instant::now();
    let moved = || {
        card.card
            .read32(carillon_driver::registers::count_card_written_lo::OFFSET)
    };
    while moved() < 3 * (8 << 20) && started.elapsed().as_secs() < 120 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    card.card.unplug();
    let (report, code) = examining.join().unwrap();
    let (_, failed) = checks(&report);
    assert_eq!(
        (code, failed.len(), &report["gone"]),
        (8, 1, &true.into()),
        "{report}"
    );
}

/// A card without `MSM_G2`, `FILL` and `LINK` is sound; what is not there to check is said, and the CPU computes it.
#[test]
fn a_card_without_sums_in_g2_passes_and_proves() {
    let card = Served::new(ModelOptions {
        msm_g2: false,
        fill: false,
        link: false,
        ..small()
    });
    let (report, code) = run(&["validate", "-l", "3", &card.name()]);
    assert_eq!(code, 0, "{report}");
    let checks = report["checks"].as_array().unwrap();
    let text = |name: &str| {
        let check = checks.iter().find(|check| check["name"] == name).unwrap();
        check["text"].as_str().unwrap().to_owned()
    };
    for name in ["msm_g2", "msm_g2 outside the subgroup"] {
        assert_eq!(text(name), "the card has no MSM_G2: nothing to check");
    }
    assert_eq!(text("fill"), "the card has no FILL: nothing to check");
    assert_eq!(text("chains"), "the card has no LINK: nothing to check");
    assert_eq!(
        text("error statuses"),
        "9 refused, the same 3 commands run afterwards"
    );
    let examined = success(&["examine", &card.name()]);
    for command in ["msm_g2", "fill", "link"] {
        assert_eq!(examined["capabilities"][command], false);
    }
    let name = card.name();
    let sum = [
        "bench", "msm", "--group", "g2", "--log2", "3", "--engine", &name,
    ];
    let object = success(&sum);
    assert!(object["stats"]["card"].is_null() && object["checked"] == true);
    let proof = ["bench", "groth16", "--log2", "4", "--engine", &name];
    let object = success(&proof);
    assert_eq!(object["verified"], true);
    assert!(object["stages"]["b2"]["card"].is_null());
    let plain = String::from_utf8(carillon(&proof).stdout).unwrap();
    let line = plain.lines().find(|line| line.contains("msm_g2 cycles"));
    assert!(line.unwrap().contains("the CPU"), "{plain}");
}

#[test]
fn engines_can_be_cards_behind_sockets() {
    let card = Served::new(small());
    let object = success(&["bench", "msm", "--log2", "5", "--engine", &card.name()]);
    assert_eq!(
        (&object["engine"], &object["checked"]),
        (&json!(card.name()), &true.into())
    );
    let (error, code) = run(&[
        "bench",
        "ntt",
        "--log2",
        "2",
        "--engine",
        "vfio:0000:ff:1f.7",
    ]);
    assert_eq!(code, 8, "{error}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("0000:ff:1f.7"), "{message}");
    // Whoever opens it, the code of a card that is held, or not there, is the same.
    let client = ClientCard::connect(&card.socket).unwrap();
    let busy = ["bench", "ntt", "--log2", "2", "--engine", &card.name()];
    let (error, code) = run(&busy);
    assert_eq!(code, 7, "{error}");
    drop(client);
    let (error, code) = run(&[
        "bench",
        "ntt",
        "--log2",
        "2",
        "--engine",
        "vfio-user:/nowhere",
    ]);
    assert_eq!(code, 8, "{error}");
}

/// A transform of 4 MiB through 1 MiB of DMA memory, set by option, environment or file.
#[test]
fn the_dma_memory_of_a_card_can_be_set() {
    let ntt = ["bench", "ntt", "--log2", "17", "--engine", "sim:model"];
    let object = success(&[&ntt[..], &["--dma-memory", "1"]].concat());
    assert_eq!(object["checked"], true);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, "engine = \"sim:model\"\ndma_memory = 0\n").unwrap();
    let small = ["bench", "ntt", "--log2", "2", "--config"];
    let (error, code) = run(&[&small[..], &[file.to_str().unwrap()]].concat());
    assert_eq!(code, 4, "{error}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("MiB"), "{message}");
    let output = carillon(&[&ntt[..], &["--dma-memory", "1G"]].concat());
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn levels_and_sizes_have_limits() {
    for args in [
        &["validate", "-l", "0", "sim:model"][..],
        &["validate", "-l", "5", "sim:model"],
        &["validate", "--log2", "25", "sim:model"],
        &["validate", "--rounds", "0", "sim:model"],
        &["bind", "--no-such-option"],
        &["man"],
    ] {
        assert_eq!(carillon(args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn each_command_has_a_manual_page_and_each_code_a_line_of_help() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("man");
    success(&["man", "--out", out.to_str().unwrap()]);
    let help = String::from_utf8(carillon(&["--help"]).stdout).unwrap();
    let commands = [
        "list", "examine", "validate", "reset", "bind", "unbind", "doctor", "events", "prove",
    ];
    for command in commands {
        let page = std::fs::read_to_string(out.join(format!("carillon-{command}.1"))).unwrap();
        assert!(page.contains(".TH"), "{command}");
        assert!(help.contains(&format!("  {command} ")), "{help}");
    }
    for (code, meaning) in EXIT_CODES.into_iter().chain([DOCTOR, INTERRUPTED]) {
        let start: String = meaning.chars().take(30).collect();
        assert!(help.contains(&format!("  {code:<3}  {start}")), "{help}");
    }
    let (error, code) = run(&["man", "--out", "/proc/nowhere"]);
    assert_eq!(code, 4, "{error}");
}
