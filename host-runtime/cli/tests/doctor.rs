//! `doctor` on made-up machines: each finding, and the whole text.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers fail the test that calls them

mod machine;

use carillon_driver::pci::{AerCounters, LinkRate};
use carillon_operator::Identity;
use carillon_operator::doctor::{self, Facts, Finding, Folder, HugePages, Look, Severity};
use carillon_runtime::card::CardAddress;
use machine::{CARD, GROUP, Machine};

fn identity() -> Identity {
    Identity {
        magic: 0x4c52_4143,
        version: 1,
        rdl_hash: carillon_driver::registers::RDL_HASH,
        configuration: 1,
        status: 1,
    }
}

fn folder(path: &str) -> Folder {
    Folder {
        path: path.into(),
        exists: true,
        readable: true,
        writable: true,
    }
}

/// What is found on the machine, with what depends on the test's own surroundings replaced. The
/// card cannot really be opened; it is said to be sound.
fn facts(machine: &Machine) -> Facts {
    let mut facts = Facts::gather(&machine.host(), None, None).unwrap();
    facts.temporary = folder("/tmp");
    facts.configuration = Some(folder("/home/operator/.config/carillon"));
    for card in &mut facts.cards {
        if matches!(card.look, Look::Failed(_)) {
            card.look = Look::Seen(identity());
        }
    }
    facts
}

fn text(machine: &Machine, facts: &Facts) -> String {
    let word = |severity: doctor::Severity| format!("{:4}", severity.name());
    machine.redact(&doctor::text(&doctor::examine(facts), word))
}

/// The only finding that is not as it should be.
fn only(facts: &Facts) -> Finding {
    let mut odd: Vec<_> = doctor::examine(facts)
        .into_iter()
        .filter(|finding| finding.severity != Severity::Ok)
        .collect();
    assert_eq!(odd.len(), 1, "{odd:#?}");
    odd.remove(0)
}

#[track_caller]
fn is(finding: &Finding, severity: Severity, found: &str, fix: &str) {
    assert_eq!(finding.severity, severity, "{finding:?}");
    assert!(finding.found.contains(found), "{finding:?}");
    assert!(finding.fix.as_ref().unwrap().contains(fix), "{finding:?}");
}

#[test]
fn a_sound_machine_has_nothing_to_fix() {
    let machine = Machine::with_card();
    let mut facts = facts(&machine);
    // Owner and mode are those of whoever runs the test.
    let file = facts.cards[0]
        .found
        .as_mut()
        .unwrap()
        .file
        .as_mut()
        .unwrap();
    (file.uid, file.gid, file.mode) = (0, 990, 0o660);
    insta::assert_snapshot!(text(&machine, &facts));
}

#[test]
fn a_bare_machine_is_told_everything_from_the_top() {
    let machine = Machine::empty();
    std::fs::remove_dir_all(machine.path("sys/class")).unwrap();
    std::fs::remove_dir_all(machine.path("sys/bus/pci/drivers")).unwrap();
    std::fs::remove_dir_all(machine.path("dev")).unwrap();
    machine.write("proc/cmdline", "quiet\n");
    machine.write("proc/meminfo", "MemTotal: 1 kB\n");
    let mut facts = facts(&machine);
    facts.memlock = Some(8 << 20);
    facts.temporary.writable = false;
    facts.configuration.as_mut().unwrap().readable = false;
    insta::assert_snapshot!(text(&machine, &facts));
}

#[test]
fn a_faulty_card_is_told_everything_from_the_top() {
    let machine = Machine::with_card();
    machine.device("0000:03:00.1", GROUP, ["0x8086", "0x10d3", "0x020000"]);
    machine.driver("e1000e");
    machine.bind("0000:03:00.1", "e1000e");
    machine.attribute(CARD, "current_link_speed", "8.0 GT/s PCIe\n");
    machine.attribute(CARD, "current_link_width", "4\n");
    machine.attribute(CARD, "aer_dev_fatal", "TOTAL_ERR_FATAL 2\n");
    machine.hold(4711, "prover");
    let mut facts = facts(&machine);
    let found = facts.cards[0].found.as_mut().unwrap();
    let file = found.file.as_mut().unwrap();
    (file.uid, file.gid, file.mode, file.may_open) = (0, 0, 0o600, false);
    facts.cards[0].look = Look::Seen(Identity {
        rdl_hash: 7,
        status: 0x0104,
        ..identity()
    });
    insta::assert_snapshot!(text(&machine, &facts));
}

#[test]
fn the_iommu_is_looked_for_in_kernel_and_firmware() {
    let machine = Machine::with_card();
    let mut facts = facts(&machine);
    facts.iommus.clear();
    is(&only(&facts), Severity::Fail, "offers none", "firmware");
    facts.command_line = "quiet intel_iommu=off".into();
    is(
        &only(&facts),
        Severity::Fail,
        "intel_iommu=off",
        "GRUB_CMDLINE_LINUX",
    );
    facts.command_line = "quiet".into();
    is(&only(&facts), Severity::Fail, "off", "intel_iommu=on");
}

#[test]
fn module_cards_and_memory_of_the_machine() {
    let machine = Machine::with_card();
    let sound = facts(&machine);
    let with = |change: &dyn Fn(&mut Facts)| {
        let mut facts = sound.clone();
        change(&mut facts);
        only(&facts)
    };
    let module = with(&|facts| facts.has_vfio = false);
    is(&module, Severity::Fail, "not loaded", "modprobe vfio-pci");
    let cards = with(&|facts| facts.cards.clear());
    is(&cards, Severity::Fail, "none found", "rescan");
    let small = with(&|facts| facts.memlock = Some(8 << 20));
    is(&small, Severity::Fail, "8 MiB", "limits.d");
    let middling = with(&|facts| facts.memlock = Some(1 << 30));
    is(&middling, Severity::Warn, "1 GiB", "LimitMEMLOCK");
    let pages = |total, free| {
        Some(HugePages {
            bytes: 2 << 20,
            total,
            free,
        })
    };
    let none = with(&|facts| facts.huge_pages = pages(0, 0));
    is(
        &none,
        Severity::Warn,
        "0 of 0 free",
        "vm.nr_hugepages = 512",
    );
    let few = with(&|facts| facts.huge_pages = pages(600, 100));
    is(
        &few,
        Severity::Warn,
        "100 of 600 free",
        "vm.nr_hugepages = 1012",
    );
    let folder = with(&|facts| facts.temporary.writable = false);
    is(&folder, Severity::Fail, "cannot be written", "TMPDIR");
    let folder = with(&|facts| facts.configuration.as_mut().unwrap().readable = false);
    is(&folder, Severity::Fail, "cannot be read", "chown");
}

#[test]
fn a_card_under_another_driver_or_none() {
    let machine = Machine::with_card();
    std::fs::remove_file(machine.path("dev/vfio/12")).unwrap();
    machine.bind(CARD, "xdma");
    let driver = |facts: &Facts| {
        let findings = doctor::examine(facts);
        findings
            .into_iter()
            .find(|f| f.subject.ends_with("driver"))
            .unwrap()
    };
    let found = driver(&facts(&machine));
    is(
        &found,
        Severity::Fail,
        "xdma instead",
        "sudo carillon bind 0000:03:00.0",
    );
    machine.unbind(CARD);
    is(
        &driver(&facts(&machine)),
        Severity::Fail,
        "none",
        "carillon bind",
    );
    // No look at a card that cannot be opened.
    let facts = facts(&machine);
    assert_eq!(facts.cards[0].look, Look::NotTried);
    let findings = doctor::examine(&facts);
    assert!(!findings.iter().any(|f| f.subject.ends_with("gateware")));
}

#[test]
fn group_file_holder_link_and_errors_of_a_card() {
    let machine = Machine::with_card();
    let sound = facts(&machine);
    let with = |change: &dyn Fn(&mut carillon_operator::Found)| {
        let mut facts = sound.clone();
        change(facts.cards[0].found.as_mut().unwrap());
        only(&facts)
    };
    let file = with(&|found| found.file.as_mut().unwrap().may_open = false);
    is(&file, Severity::Fail, "/12", "61-carillon-local.rules");
    let file = with(&|found| found.file = None);
    is(
        &file,
        Severity::Fail,
        "none in /dev/vfio",
        "udevadm trigger",
    );
    let group = with(&|found| found.device.iommu_group = None);
    is(&group, Severity::Fail, "none", "IOMMU");
    let slow: LinkRate = LinkRate {
        megatransfers: 8000,
        lanes: 16,
    };
    let link = with(&|found| found.device.link = Some(slow));
    is(
        &link,
        Severity::Warn,
        "8 GT/s x16, the card can do 16 GT/s x16",
        "reseat",
    );
    let errors = |correctable, nonfatal| {
        with(&move |found| {
            found.device.aer = Some(AerCounters {
                correctable,
                nonfatal,
                fatal: 0,
            });
        })
    };
    is(
        &errors(3, 0),
        Severity::Warn,
        "3 correctable",
        "events --follow",
    );
    is(
        &errors(0, 1),
        Severity::Fail,
        "1 non-fatal",
        "validate -l 2",
    );
    machine.hold(4711, "prover");
    let held = only(&facts(&machine));
    is(&held, Severity::Warn, "process 4711 (prover)", "kill 4711");
}

#[test]
fn a_card_that_has_left_the_bus_is_told_nothing_else() {
    let machine = Machine::with_card();
    std::fs::write(
        machine.path("sys/bus/pci/devices/0000:03:00.0/config"),
        [0xff; 64],
    )
    .unwrap();
    let facts = facts(&machine);
    is(&only(&facts), Severity::Fail, "all ones", "rescan");
}

#[test]
fn registers_tell_a_silent_card_another_device_and_another_gateware() {
    let machine = Machine::with_card();
    let sound = facts(&machine);
    let with = |look: Look| {
        let mut facts = sound.clone();
        facts.cards[0].look = look;
        only(&facts)
    };
    let seen = |magic, version| {
        Look::Seen(Identity {
            magic,
            version,
            rdl_hash: 7,
            ..identity()
        })
    };
    is(
        &with(seen(u32::MAX, 1)),
        Severity::Fail,
        "all ones",
        "carillon reset --level function",
    );
    is(
        &with(seen(0x1234, 1)),
        Severity::Fail,
        "0x00001234",
        "carillon list",
    );
    is(
        &with(seen(0x4c52_4143, 1)),
        Severity::Fail,
        "register map",
        "load the gateware",
    );
    is(
        &with(seen(0x4c52_4143, 2)),
        Severity::Fail,
        "contract 2",
        "update the program",
    );
    let failed = Look::Failed("the door is shut".into());
    is(
        &with(failed),
        Severity::Fail,
        "the door is shut",
        "carillon examine",
    );
}

#[test]
fn a_simulated_card_needs_no_machine() {
    let machine = Machine::empty();
    let sim = CardAddress::SimModel;
    let facts = Facts::gather(&machine.host(), Some(&sim), None).unwrap();
    assert!(!facts.on_pcie && facts.cards.len() == 1);
    let findings = doctor::examine(&facts);
    let subjects: Vec<_> = findings.iter().map(|f| f.subject.as_str()).collect();
    assert_eq!(subjects, ["temporary folder", "sim:model gateware"]);
    let absent: CardAddress = "0000:0f:00.0".parse().unwrap();
    assert!(Facts::gather(&machine.host(), Some(&absent), None).is_err());
}
