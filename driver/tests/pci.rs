//! `carillon_driver::pci` on made-up trees of `/sys` and `/dev/vfio`.
#![allow(clippy::unwrap_used, clippy::expect_used)] // helpers fail the test that calls them

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use carillon_driver::pci::{AerCounters, DevVfio, PciAddress, PciDevice, PciError, Sysfs};

const CARD: &str = "0000:03:00.0";

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A device with the attributes given, in a group, under a driver.
fn device(root: &Path, address: &str, group: u32, driver: Option<&str>, with: &[(&str, &str)]) {
    let folder = root.join("bus/pci/devices").join(address);
    for (name, text) in with {
        write(&folder.join(name), text);
    }
    let group = root.join(format!("kernel/iommu_groups/{group}"));
    fs::create_dir_all(group.join("devices")).unwrap();
    symlink(&group, folder.join("iommu_group")).unwrap();
    symlink(&folder, group.join("devices").join(address)).unwrap();
    if let Some(driver) = driver {
        let driver = root.join("bus/pci/drivers").join(driver);
        fs::create_dir_all(&driver).unwrap();
        symlink(&driver, folder.join("driver")).unwrap();
    }
}

const IDS: [(&str, &str); 3] = [
    ("vendor", "0x10ee\n"),
    ("device", "0xca11\n"),
    ("class", "0x120000\n"),
];

fn tree() -> (tempfile::TempDir, Sysfs) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let more = [
        ("driver_override", "vfio-pci\n"),
        ("numa_node", "1\n"),
        ("current_link_speed", "8.0 GT/s PCIe\n"),
        ("current_link_width", "16\n"),
        ("max_link_speed", "16.0 GT/s PCIe\n"),
        ("max_link_width", "16\n"),
        (
            "resource",
            "0x00000000fe000000 0x00000000fe00ffff 0x0000000000040200\n",
        ),
        ("reset_method", "flr bus\n"),
        ("enable", "1\n"),
        ("power_state", "D0\n"),
        ("aer_dev_correctable", "RxErr 7\nTOTAL_ERR_COR 7\n"),
        ("aer_dev_nonfatal", "TOTAL_ERR_NONFATAL 0\n"),
        ("aer_dev_fatal", "TOTAL_ERR_FATAL 0\n"),
    ];
    let all = [&IDS[..], &more[..]].concat();
    device(root, CARD, 12, Some("vfio-pci"), &all);
    let bridge = [
        ("vendor", "0x8086"),
        ("device", "0x1"),
        ("class", "0x060400"),
    ];
    device(root, "0000:00:01.0", 12, Some("pcieport"), &bridge);
    let net = [
        ("vendor", "0x8086"),
        ("device", "0x1"),
        ("class", "0x020000"),
    ];
    device(root, "0000:03:00.1", 12, Some("e1000e"), &net);
    // A second card, with nothing but its identity.
    device(root, "0000:04:00.0", 13, None, &IDS);
    let sysfs = Sysfs::at(root);
    (folder, sysfs)
}

fn read(sysfs: &Sysfs, address: &str) -> Result<PciDevice, PciError> {
    sysfs.device(address.parse().unwrap())
}

#[test]
fn a_card_is_read_with_all_its_attributes() {
    let (_folder, sysfs) = tree();
    let card = read(&sysfs, CARD).unwrap();
    assert_eq!(
        (card.vendor, card.device, card.class),
        (0x10ee, 0xca11, 0x12_0000)
    );
    assert!(card.is_bound_to_vfio() && card.enabled);
    assert_eq!(card.driver_override.as_deref(), Some("vfio-pci"));
    assert_eq!((card.iommu_group, card.numa_node), (Some(12), Some(1)));
    let (link, max) = (card.link.unwrap(), card.max_link.unwrap());
    assert!(link.is_below(max), "{link} {max}");
    assert_eq!(card.resources[0].bytes, 65536);
    assert_eq!(card.reset_methods, ["flr", "bus"]);
    assert_eq!(card.power_state.as_deref(), Some("D0"));
    let counted = AerCounters {
        correctable: 7,
        nonfatal: 0,
        fatal: 0,
    };
    assert_eq!(card.aer, Some(counted));
    let members: Vec<_> = card
        .group_members
        .iter()
        .map(|m| (m.address.to_string(), m.blocks()))
        .collect();
    assert_eq!(
        members,
        [
            ("0000:00:01.0".into(), false),
            ("0000:03:00.1".into(), true)
        ]
    );
    assert_eq!(card.blockers().count(), 1);
}

#[test]
fn what_the_kernel_does_not_say_is_none() {
    let (folder, sysfs) = tree();
    let bare = folder.path().join("bus/pci/devices/0000:04:00.0");
    write(&bare.join("numa_node"), "-1\n");
    write(&bare.join("driver_override"), "(null)\n");
    write(&bare.join("current_link_speed"), "Unknown\n");
    write(&bare.join("current_link_width"), "0\n");
    let card = read(&sysfs, "04:00.0").unwrap();
    assert_eq!(
        (card.driver, card.driver_override, card.numa_node),
        (None, None, None)
    );
    assert_eq!((card.link, card.max_link, card.aer), (None, None, None));
    assert!(card.resources.is_empty() && card.reset_methods.is_empty() && !card.enabled);
    assert!(card.group_members.is_empty() && card.answers);
}

#[test]
fn a_card_that_has_left_reads_all_ones() {
    let (folder, sysfs) = tree();
    let config = folder.path().join("bus/pci/devices/0000:03:00.0/config");
    fs::write(&config, [0xee, 0x10, 0x11, 0xca]).unwrap();
    assert!(read(&sysfs, CARD).unwrap().answers);
    fs::write(&config, [0xff; 64]).unwrap();
    assert!(!read(&sysfs, CARD).unwrap().answers);
}

#[test]
fn only_cards_are_found_and_damaged_neighbours_do_no_harm() {
    let (folder, sysfs) = tree();
    write(
        &folder.path().join("bus/pci/devices/0000:05:00.0/vendor"),
        "none",
    );
    let cards: Vec<_> = sysfs
        .cards()
        .unwrap()
        .iter()
        .map(|c| c.address.to_string())
        .collect();
    assert_eq!(cards, [CARD, "0000:04:00.0"]);
    assert_eq!(sysfs.addresses().unwrap().len(), 5);
    assert!(
        Sysfs::at(folder.path().join("no"))
            .cards()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn absence_and_damage_are_told_apart() {
    let (folder, sysfs) = tree();
    let absent = read(&sysfs, "0f:00.0").unwrap_err();
    assert!(matches!(absent, PciError::Absent { .. }), "{absent}");
    write(
        &folder.path().join("bus/pci/devices/0000:03:00.0/class"),
        "what\n",
    );
    let damaged = read(&sysfs, CARD).unwrap_err().to_string();
    assert!(
        damaged.contains("class") && damaged.contains("`what`"),
        "{damaged}"
    );
}

#[test]
fn attributes_are_written_but_never_made() {
    let (folder, sysfs) = tree();
    let card: PciAddress = CARD.parse().unwrap();
    let path = sysfs.device_path(card).join("driver_override");
    sysfs.write(&path, "none").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "none");
    let missing = sysfs.device_path(card).join("not_there");
    let error = sysfs.write(&missing, "1").unwrap_err().to_string();
    assert!(error.contains("not_there") && !missing.exists(), "{error}");
    assert!(sysfs.has_driver("vfio-pci") && !sysfs.has_driver("other"));
    assert!(sysfs.iommus().is_empty());
    fs::create_dir_all(folder.path().join("class/iommu/dmar0")).unwrap();
    assert_eq!(sysfs.iommus(), ["dmar0"]);
}

#[test]
fn device_files_show_owner_and_mode() {
    let folder = tempfile::tempdir().unwrap();
    let files = DevVfio::at(folder.path());
    assert!(files.container().is_none() && files.group(12).is_none());
    fs::write(folder.path().join("12"), "").unwrap();
    fs::set_permissions(folder.path().join("12"), fs::Permissions::from_mode(0o660)).unwrap();
    let file = files.group(12).unwrap();
    assert_eq!((file.mode, file.may_open), (0o660, true));
    assert_eq!(file.path, files.group_path(12));
}
