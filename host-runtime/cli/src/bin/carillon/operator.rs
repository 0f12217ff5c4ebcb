//! What the operator commands share: the card argument, and cards as JSON and as text.

use std::path::PathBuf;

use carillon_cli::Failure;
use carillon_driver::pci::{DeviceFile, Holder, LinkRate, PciDevice};
use carillon_operator::{Found, Host, choose};
use carillon_runtime::card::CardAddress;
use clap::Args;
use serde_json::{Value, json};

/// The card that a command is about.
#[derive(Debug, Args)]
pub struct CardArg {
    /// 0000:03:00.0, vfio-user:PATH, sim:model, sim:rtl or sim:rtl-structural [default: the only
    /// card on PCIe]
    #[arg(value_name = "CARD")]
    pub card: Option<CardAddress>,
}

impl CardArg {
    /// The card named, else the only one.
    pub fn choose(&self, host: &Host) -> Result<CardAddress, Failure> {
        Ok(choose(host, self.card.as_ref())?)
    }
}

/// Where the machine's `/sys`, `/proc` and `/dev` are: below another folder for tests, and for
/// copies of another machine's trees.
pub fn host(root: Option<&PathBuf>) -> Host {
    root.map_or_else(Host::default, |root| Host::at(root))
}

/// A card on PCIe as JSON.
pub fn found_json(found: &Found) -> Value {
    let device = &found.device;
    let members: Vec<_> = device
        .group_members
        .iter()
        .map(|member| json!({ "address": member.address.to_string(), "driver": member.driver }))
        .collect();
    let resources: Vec<_> = device
        .resources
        .iter()
        .map(|r| json!({ "index": r.index, "start": r.start, "bytes": r.bytes }))
        .collect();
    let aer = device.aer.map(|aer| {
        json!({ "correctable": aer.correctable, "nonfatal": aer.nonfatal, "fatal": aer.fatal })
    });
    json!({
        "address": device.address.to_string(),
        "kind": "pci",
        "state": found.state().name(),
        "remark": found.remark(),
        "vendor": device.vendor,
        "device": device.device,
        "driver": device.driver,
        "driver_override": device.driver_override,
        "iommu_group": device.iommu_group,
        "group_members": members,
        "device_file": found.file.as_ref().map(file_json),
        "holders": found.holders.iter().map(holder_json).collect::<Vec<_>>(),
        "numa_node": device.numa_node,
        "link": device.link.map(link_json),
        "max_link": device.max_link.map(link_json),
        "resources": resources,
        "reset_methods": device.reset_methods,
        "power_state": device.power_state,
        "bus_errors": aer,
    })
}

fn file_json(file: &DeviceFile) -> Value {
    json!({
        "path": file.path,
        "uid": file.uid,
        "gid": file.gid,
        "mode": format!("{:o}", file.mode),
        "may_open": file.may_open,
    })
}

fn holder_json(holder: &Holder) -> Value {
    json!({ "pid": holder.pid, "command": holder.command })
}

fn link_json(rate: LinkRate) -> Value {
    json!({ "megatransfers": rate.megatransfers, "lanes": rate.lanes })
}

/// A card on PCIe in one line: what is known of it, in a fixed order.
pub fn found_line(found: &Found) -> String {
    let device = &found.device;
    let mut words = vec![
        found.state().to_string(),
        device.driver.clone().unwrap_or_else(|| "no driver".into()),
        device
            .iommu_group
            .map_or_else(|| "no IOMMU group".into(), |group| format!("group {group}")),
    ];
    words.extend(device.numa_node.map(|node| format!("node {node}")));
    words.extend(link_text(device));
    let remark = found.remark();
    if !remark.is_empty() {
        words.push(remark);
    }
    words.join(", ")
}

/// The link, with the card's own limit if that is higher.
pub fn link_text(device: &PciDevice) -> Option<String> {
    let link = device.link?;
    Some(match device.max_link {
        Some(max) if link.is_below(max) => format!("{link} (of {max})"),
        _ => link.to_string(),
    })
}
