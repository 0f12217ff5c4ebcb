//! Operator commands on made-up machines: list, bind, unbind, events; what is refused, and how.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers fail the test that calls them

mod binary;
mod machine;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use carillon_operator::events::{Change, Watch};
use carillon_operator::{
    CardState, Found, OperateError, Plan, apply, choose, plan_bind, plan_unbind,
};
use machine::{CARD, GROUP, Machine};
use serde_json::Value;

fn command(machine: &Machine, args: &[&str]) -> Command {
    let mut command = binary::command(args);
    command
        .arg("--root")
        .arg(machine.root())
        .env("XDG_CONFIG_HOME", machine.path("config"));
    command
}

fn carillon(machine: &Machine, args: &[&str]) -> Output {
    command(machine, args).output().unwrap()
}

fn json(machine: &Machine, args: &[&str]) -> Value {
    let output = carillon(machine, &[args, &["--json"]].concat());
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text(machine: &Machine, args: &[&str]) -> String {
    let output = carillon(machine, args);
    machine.redact(&String::from_utf8(output.stdout).unwrap())
}

#[track_caller]
fn failure(machine: &Machine, code: i32, args: &[&str]) -> String {
    let output = carillon(machine, &[args, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&object["schema"], &object["code"]),
        (&"carillon.error/1".into(), &code.into())
    );
    object["message"].as_str().unwrap().to_owned()
}

fn found(machine: &Machine) -> Found {
    Found::one(&machine.host(), CARD.parse().unwrap()).unwrap()
}

#[test]
fn states_are_told_apart_with_a_reason() {
    let machine = Machine::with_card();
    let is = |state: CardState, remark: &str| {
        let found = found(&machine);
        assert_eq!(found.state(), state);
        assert!(found.remark().contains(remark), "{}", found.remark());
    };
    is(CardState::Ready, "");
    machine.hold(4711, "prover");
    is(CardState::Busy, "process 4711 (prover)");
    machine.release(4711);
    machine.device("0000:03:00.1", GROUP, ["0x8086", "0x10d3", "0x020000"]);
    is(CardState::Ready, "");
    machine.driver("e1000e");
    machine.bind("0000:03:00.1", "e1000e");
    is(CardState::Blocked, "0000:03:00.1 (driver e1000e)");
    machine.bind(CARD, "xdma");
    is(CardState::Unbound, "run `carillon bind 0000:03:00.0`");
    machine.unbind(CARD);
    is(CardState::Unbound, "as root");
    let config = machine.path("sys/bus/pci/devices/0000:03:00.0/config");
    std::fs::write(config, [0xff; 4]).unwrap();
    is(CardState::Gone, "all ones");

    let mut forbidden = found(&machine);
    forbidden.device.answers = true;
    forbidden.device.driver = Some("vfio-pci".into());
    forbidden.device.group_members.clear();
    forbidden.file.as_mut().unwrap().may_open = false;
    assert_eq!(forbidden.state(), CardState::Forbidden);
    assert!(forbidden.remark().contains("no permission for "));
}

#[test]
fn the_only_card_need_not_be_named() {
    let machine = Machine::with_card();
    let chosen = choose(&machine.host(), None).unwrap();
    assert_eq!(chosen.to_string(), CARD);
    machine.device("0000:04:00.0", 13, ["0x10ee", "0xca11", "0x120000"]);
    let error = choose(&machine.host(), None).unwrap_err().to_string();
    assert!(
        error.contains("name one of 0000:03:00.0, 0000:04:00.0"),
        "{error}"
    );
    let error = choose(&Machine::empty().host(), None).unwrap_err();
    assert!(matches!(error, OperateError::NoCard), "{error}");
    let named = "sim:model".parse().unwrap();
    assert_eq!(choose(&machine.host(), Some(&named)).unwrap(), named);
}

#[test]
fn the_list_as_text_and_as_json() {
    let machine = Machine::with_card();
    machine.attribute(CARD, "current_link_width", "8\n");
    machine.device("0000:04:00.0", 13, ["0x10ee", "0xca11", "0x120000"]);
    machine.hold(4711, "prover");
    let lines: Vec<_> = text(&machine, &["list"])
        .lines()
        .map(str::to_owned)
        .collect();
    // What follows are the simulated cards, which depend on the build.
    insta::assert_snapshot!(lines[..2].join("\n"));
    let list = json(&machine, &["list"]);
    assert_eq!(list["schema"], "carillon.list/1");
    let mut card = list["cards"][0].clone();
    let file = card["device_file"].as_object_mut().unwrap();
    for (key, of_the_tester) in [("uid", 0), ("gid", 0), ("mode", 0)] {
        assert!(file.insert(key.into(), of_the_tester.into()).is_some());
    }
    let card = machine.redact(&serde_json::to_string_pretty(&card).unwrap());
    insta::assert_snapshot!(card);
    let kinds: Vec<_> = list["cards"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| &c["kind"])
        .collect();
    assert_eq!(kinds, ["pci", "pci", "simulated", "simulated", "simulated"]);

    let empty = Machine::empty();
    assert!(text(&empty, &["list"]).contains("no card found"));
    let absent = empty.path("no.sock");
    let list = json(&empty, &["list", "--socket", absent.to_str().unwrap()]);
    assert_eq!(list["cards"][0]["state"], "gone");
}

fn steps(machine: &Machine, plan: &Plan) -> String {
    let steps: Vec<_> = plan.steps.iter().map(ToString::to_string).collect();
    machine.redact(&steps.join("\n"))
}

#[test]
fn binding_is_planned_step_by_step() {
    let machine = Machine::with_card();
    let host = machine.host();
    let nothing = plan_bind(&host, &found(&machine), None).unwrap();
    assert_eq!(nothing.steps, []);
    let given = plan_bind(&host, &found(&machine), Some("root")).unwrap();
    assert_eq!(steps(&machine, &given), "chown 0 /dev/vfio/12");
    machine.bind(CARD, "xdma");
    let plan = plan_bind(&host, &found(&machine), None).unwrap();
    insta::assert_snapshot!(steps(&machine, &plan));
    machine.bind(CARD, "vfio-pci");
    let plan = plan_unbind(&host, &found(&machine), None).unwrap();
    insta::assert_snapshot!(steps(&machine, &plan));
    let plan = plan_unbind(&host, &found(&machine), Some("xdma")).unwrap();
    assert!(steps(&machine, &plan).starts_with("echo xdma > "));
    machine.unbind(CARD);
    assert_eq!(
        plan_unbind(&host, &found(&machine), None).unwrap().steps,
        []
    );
}

#[test]
fn binding_is_refused_by_name() {
    let machine = Machine::with_card();
    let refused = |args: &[&str], code: i32, with: &str| {
        let message = failure(&machine, code, args);
        assert!(message.contains(with), "{message}");
    };
    machine.hold(4711, "prover");
    refused(&["unbind"], 7, "process 4711 (prover)");
    machine.bind(CARD, "xdma");
    refused(&["bind"], 7, "process 4711");
    machine.release(4711);
    refused(&["bind", "--user", "no such user"], 4, "`no such user`");
    refused(&["unbind", "--driver", "nothing"], 3, "modprobe nothing");
    refused(&["unbind", "--driver", "../../evil"], 3, "no driver");
    refused(&["bind", "0f:00.0"], 8, "0000:0f:00.0");
    refused(&["bind", "sim:model"], 4, "not on PCIe");
    machine.device("0000:03:00.1", GROUP, ["0x8086", "0x10d3", "0x020000"]);
    refused(&["bind", "0000:03:00.1"], 4, "no Carillon card");
    machine.driver("e1000e");
    machine.bind("0000:03:00.1", "e1000e");
    refused(&["bind"], 3, "0000:03:00.1 (driver e1000e)");
    machine.unbind("0000:03:00.1");
    std::fs::remove_dir_all(machine.path("sys/bus/pci/drivers/vfio-pci")).unwrap();
    refused(&["bind"], 3, "modprobe vfio-pci");
    std::fs::remove_file(machine.path("sys/bus/pci/devices/0000:03:00.0/iommu_group")).unwrap();
    refused(&["bind"], 3, "no IOMMU group");
    // Nothing was written.
    assert_eq!(machine.read("sys/bus/pci/drivers_probe"), "");
}

#[test]
fn a_card_goes_to_vfio_and_back() {
    let machine = Machine::with_card();
    machine.bind(CARD, "xdma");
    std::fs::remove_file(machine.path("dev/vfio/12")).unwrap();
    let dry = json(&machine, &["bind", "--dry-run"]);
    assert_eq!(
        (&dry["dry_run"], &dry["driver"]),
        (&true.into(), &"xdma".into())
    );
    assert_eq!(machine.read("sys/bus/pci/drivers_probe"), "");

    let kernel = machine.kernel(Some("xdma"));
    let own = std::fs::metadata(machine.root()).unwrap().uid();
    let user = nix::unistd::User::from_uid(own.into()).unwrap().unwrap();
    let bound = json(&machine, &["bind", "--user", &user.name]);
    assert_eq!(bound["schema"], "carillon.bind/1");
    assert_eq!(
        (&bound["driver_before"], &bound["driver"]),
        (&"xdma".into(), &"vfio-pci".into())
    );
    assert_eq!(bound["steps"].as_array().unwrap().len(), 4);
    assert_eq!(machine.read("sys/bus/pci/drivers/xdma/unbind"), CARD);
    assert!(found(&machine).device.is_bound_to_vfio());

    let unbound = json(&machine, &["unbind"]);
    assert_eq!(unbound["schema"], "carillon.unbind/1");
    assert_eq!(unbound["driver"], "xdma");
    assert_eq!(found(&machine).device.driver_override, None);
    drop(kernel);
}

#[test]
fn a_kernel_that_does_not_follow_is_noticed_and_undone() {
    let machine = Machine::with_card();
    machine.unbind(CARD);
    let plan = plan_bind(&machine.host(), &found(&machine), None).unwrap();
    // Nobody reads `drivers_probe`.
    let error = apply(&machine.host(), &plan).unwrap_err();
    assert!(matches!(error, OperateError::NotTaken { .. }), "{error}");
    assert!(error.to_string().contains("dmesg"), "{error}");
    let left = machine.read("sys/bus/pci/devices/0000:03:00.0/driver_override");
    assert_eq!(left.trim(), "");
}

/// Wherever it ends: the kernel's choice of a driver is what it was.
#[test]
fn a_change_that_is_refused_leaves_the_override_as_it_was() {
    const OVERRIDE: &str = "sys/bus/pci/devices/0000:03:00.0/driver_override";
    const UNBIND: &str = "sys/bus/pci/drivers/vfio-pci/unbind";
    let bound = || {
        let machine = Machine::with_card();
        machine.driver("stubborn");
        machine.write(OVERRIDE, "vfio-pci\n");
        machine
    };
    let unbind = |machine: &Machine, driver| {
        let plan = plan_unbind(&machine.host(), &found(machine), driver).unwrap();
        apply(&machine.host(), &plan).unwrap_err()
    };
    // Each waits for a kernel that does nothing.
    std::thread::scope(|scope| {
        for driver in [Some("stubborn"), None] {
            scope.spawn(move || {
                let machine = bound();
                let error = unbind(&machine, driver);
                assert!(matches!(error, OperateError::NotTaken { .. }), "{error}");
                assert_eq!(machine.read(OVERRIDE).trim(), "vfio-pci");
            });
        }
        // A card that loses its driver on the way is offered to the kernel again.
        scope.spawn(|| {
            let machine = Machine::with_card();
            machine.bind(CARD, "xdma");
            let plan = plan_bind(&machine.host(), &found(&machine), None).unwrap();
            machine.unbind(CARD);
            let error = apply(&machine.host(), &plan).unwrap_err();
            assert!(matches!(error, OperateError::NotTaken { .. }), "{error}");
            assert_eq!(machine.read(OVERRIDE).trim(), "");
            assert_eq!(machine.read("sys/bus/pci/drivers_probe"), CARD);
        });
        // The write after that of `driver_override` is refused.
        let machine = bound();
        std::fs::remove_file(machine.path(UNBIND)).unwrap();
        let error = unbind(&machine, Some("stubborn"));
        assert!(matches!(error, OperateError::Pci(_)), "{error}");
        assert_eq!(machine.read(OVERRIDE).trim(), "vfio-pci");
        let probe = machine.read("sys/bus/pci/drivers_probe");
        assert_eq!(probe, "", "it has its driver");
    });
}

#[test]
fn changes_between_two_looks() {
    let machine = Machine::with_card();
    let host = machine.host();
    let mut watch = Watch::default();
    let mut look = || {
        let changes = watch.look(&host).unwrap().into_iter();
        changes.map(|(_, change)| change).collect::<Vec<_>>()
    };
    assert_eq!(look(), [Change::Present]);
    assert_eq!(look(), []);
    machine.attribute(CARD, "current_link_speed", "8.0 GT/s PCIe\n");
    machine.attribute(CARD, "aer_dev_correctable", "TOTAL_ERR_COR 5\n");
    let changes = look();
    assert_eq!(changes[0].to_string(), "link 16 GT/s x16 -> 8 GT/s x16");
    let errors = Change::BusErrors {
        kind: "correctable",
        more: 5,
        total: 5,
    };
    assert_eq!(changes[1..], [errors]);
    machine.hold(4711, "prover");
    assert_eq!(look()[0].to_string(), "held by process 4711 (prover)");
    machine.release(4711);
    machine.bind(CARD, "xdma");
    let rebound = [
        Change::Unbound("vfio-pci".into()),
        Change::Bound("xdma".into()),
        Change::Released,
    ];
    assert_eq!(look(), rebound);
    let config = machine.path("sys/bus/pci/devices/0000:03:00.0/config");
    std::fs::write(&config, [0xff; 4]).unwrap();
    assert_eq!(look(), [Change::Silent]);
    std::fs::write(&config, [0xee, 0x10]).unwrap();
    assert_eq!(look(), [Change::Answers]);
    machine.unplug(CARD);
    assert_eq!(look(), [Change::Disappeared]);
    machine.device("0000:05:00.0", 14, ["0x10ee", "0xca11", "0x120000"]);
    machine.bind("0000:05:00.0", "xdma");
    assert_eq!(look(), [Change::Appeared, Change::Bound("xdma".into())]);
}

struct Follower {
    child: Child,
    lines: std::sync::mpsc::Receiver<Value>,
}

impl Follower {
    fn start(machine: &Machine) -> Self {
        let args = ["events", "--follow", "--poll", "0.02", "--json"];
        let mut child = command(machine, &args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines() {
                let event = serde_json::from_str(&line.unwrap()).unwrap();
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    fn next(&self) -> Value {
        self.lines.recv_timeout(Duration::from_secs(20)).unwrap()
    }
}

#[test]
fn events_are_followed_until_a_signal() {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    let machine = Machine::with_card();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut follower = Follower::start(&machine);
        let first = follower.next();
        assert_eq!(first["schema"], "carillon.event/1");
        assert_eq!(
            (&first["card"], &first["event"]),
            (&CARD.into(), &"present".into())
        );
        assert!(first["time"].as_str().unwrap().ends_with('Z'));
        machine.hold(4711, "prover");
        let held = follower.next();
        assert_eq!(
            (&held["event"], &held["pids"][0]),
            (&"held".into(), &4711.into())
        );
        machine.release(4711);
        assert_eq!(follower.next()["event"], "released");
        kill(Pid::from_raw(follower.child.id() as i32), signal).unwrap();
        let started = Instant::now();
        let status = follower.child.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{signal}");
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn without_follow_only_what_is_there_is_told() {
    let machine = Machine::with_card();
    let line = text(&machine, &["events"]);
    assert!(line.ends_with("Z  0000:03:00.0  present\n"), "{line}");
    assert_eq!(text(&Machine::empty(), &["events"]), "");
    let message = failure(&machine, 4, &["events", "--follow", "--poll", "0"]);
    assert!(message.contains("--poll 0"), "{message}");
}

#[test]
fn doctor_ends_with_its_own_code() {
    let machine = Machine::empty();
    let output = carillon(&machine, &["doctor", "--json"]);
    assert_eq!(output.status.code(), Some(10), "{output:?}");
    // One object: the report. What it amounts to is on standard error.
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["schema"], "carillon.doctor/1");
    assert_eq!(report["failed"], 1);
    let cards = report["findings"].as_array().unwrap();
    let cards = cards.iter().find(|f| f["subject"] == "cards").unwrap();
    assert_eq!(cards["severity"], "fail");
    assert!(text(&machine, &["doctor"]).contains("fix: check slot and power"));
    failure(&machine, 8, &["doctor", "0f:00.0"]);
    let output = carillon(&machine, &["doctor", "sim:model"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn without_a_card_commands_say_how_to_name_one() {
    let machine = Machine::empty();
    for command in ["examine", "validate", "reset", "bind", "unbind"] {
        let message = failure(&machine, 8, &[command]);
        assert!(message.contains("sim:model"), "{message}");
    }
    let absent = machine.path("no.sock");
    let address = format!("vfio-user:{}", absent.display());
    for command in ["examine", "validate", "reset"] {
        failure(&machine, 8, &[command, "0000:0f:00.0"]);
        failure(&machine, 8, &[command, &address]);
        let output = carillon(&machine, &[command, "fpga"]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
}
