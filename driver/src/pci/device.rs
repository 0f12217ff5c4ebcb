//! One PCI device as sysfs shows it.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::sysfs::entries;
use super::{AerCounters, LinkRate, PciAddress, PciError, Resource, Sysfs, VFIO_DRIVER};

/// Another device of a card's IOMMU group. All of a group goes to one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    /// Where it is.
    pub address: PciAddress,
    /// Its class code (24 bits).
    pub class: u32,
    /// Its kernel driver.
    pub driver: Option<String>,
}

impl GroupMember {
    /// Whether it keeps the group from being opened: VFIO allows members
    /// without a driver, bridges under the port driver, and those of its own.
    pub fn blocks(&self) -> bool {
        match self.driver.as_deref() {
            None | Some("pci-stub" | "pcieport") => false,
            Some(driver) => driver != VFIO_DRIVER,
        }
    }
}

/// A PCI function: what sysfs says at one moment. Attributes that the kernel
/// does not give are `None` or empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PciDevice {
    /// Where it is.
    pub address: PciAddress,
    /// Vendor.
    pub vendor: u16,
    /// Device.
    pub device: u16,
    /// Class code (24 bits).
    pub class: u32,
    /// The kernel driver that has it.
    pub driver: Option<String>,
    /// The only driver that it may be bound to.
    pub driver_override: Option<String>,
    /// Number of its IOMMU group.
    pub iommu_group: Option<u32>,
    /// The other devices of the group, ascending.
    pub group_members: Vec<GroupMember>,
    /// NUMA node.
    pub numa_node: Option<u32>,
    /// The link as trained.
    pub link: Option<LinkRate>,
    /// The most that the card's link can do.
    pub max_link: Option<LinkRate>,
    /// BARs and ROM.
    pub resources: Vec<Resource>,
    /// How the kernel would reset it, best first; empty if it cannot.
    pub reset_methods: Vec<String>,
    /// Whether its memory space has been enabled by a driver.
    pub enabled: bool,
    /// Power state, `D0` when it works.
    pub power_state: Option<String>,
    /// False if its configuration space reads all ones: it has left the bus,
    /// and the kernel has not noticed yet.
    pub answers: bool,
    /// Bus errors; `None` where the kernel or the slot does not report them.
    pub aer: Option<AerCounters>,
}

impl PciDevice {
    /// Reads all attributes.
    ///
    /// # Errors
    /// [`PciError::Absent`], also when it leaves meanwhile; [`PciError::Read`]
    /// for a vendor, device or class that cannot be read.
    pub(super) fn read(sysfs: &Sysfs, address: PciAddress) -> Result<Self, PciError> {
        let folder = sysfs.device_path(address);
        let number = |name: &str| {
            let path = folder.join(name);
            let text = match fs::read_to_string(&path) {
                Ok(text) => text,
                Err(_) if !folder.exists() => return Err(PciError::Absent { address }),
                Err(cause) => return Err(PciError::Read { path, cause }),
            };
            hexadecimal(&text).ok_or_else(|| PciError::Read {
                path,
                cause: std::io::Error::other(format!("`{}` is no number", text.trim())),
            })
        };
        let (vendor, device, class) = (number("vendor")?, number("device")?, number("class")?);
        let text = |name: &str| attribute(&folder, name);
        let rate = |kind: &str| {
            let of = |what: &str| text(&format!("{kind}_link_{what}"));
            LinkRate::parse(&of("speed")?, &of("width")?)
        };
        let group = link_name(&folder.join("iommu_group"));
        Ok(Self {
            address,
            // Sysfs writes four digits.
            vendor: vendor as u16,
            device: device as u16,
            class,
            driver: link_name(&folder.join("driver")),
            driver_override: text("driver_override").filter(|name| name != "(null)"),
            iommu_group: group.and_then(|name| name.parse().ok()),
            group_members: members(&folder, address),
            // -1 where there is none.
            numa_node: text("numa_node").and_then(|node| node.parse().ok()),
            link: rate("current"),
            max_link: rate("max"),
            resources: text("resource").map_or_else(Vec::new, |all| Resource::parse_all(&all)),
            reset_methods: text("reset_method").map_or_else(Vec::new, |methods| {
                methods.split_whitespace().map(str::to_owned).collect()
            }),
            enabled: text("enable").is_some_and(|count| count != "0"),
            power_state: text("power_state"),
            answers: answers(&folder),
            aer: aer(&folder),
        })
    }

    /// Whether the driver that hands cards to processes has it.
    pub fn is_bound_to_vfio(&self) -> bool {
        self.driver.as_deref() == Some(VFIO_DRIVER)
    }

    /// Group members that keep the group from being opened.
    pub fn blockers(&self) -> impl Iterator<Item = &GroupMember> {
        self.group_members.iter().filter(|member| member.blocks())
    }
}

fn hexadecimal(text: &str) -> Option<u32> {
    u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()
}

/// An attribute's text; `None` if it is absent, unreadable or empty.
fn attribute(folder: &Path, name: &str) -> Option<String> {
    let text = fs::read_to_string(folder.join(name)).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The last part of what a symbolic link points to.
fn link_name(link: &Path) -> Option<String> {
    let target: PathBuf = fs::read_link(link).ok()?;
    Some(target.file_name()?.to_str()?.to_owned())
}

fn members(folder: &Path, own: PciAddress) -> Vec<GroupMember> {
    let devices = folder.join("iommu_group/devices");
    let mut members: Vec<_> = entries(&devices)
        .unwrap_or_default()
        .iter()
        .filter_map(|name| name.parse().ok())
        .filter(|&address| address != own)
        .map(|address: PciAddress| {
            let folder = devices.join(address.to_string());
            let class = attribute(&folder, "class").and_then(|text| hexadecimal(&text));
            GroupMember {
                address,
                class: class.unwrap_or_default(),
                driver: link_name(&folder.join("driver")),
            }
        })
        .collect();
    members.sort_by_key(|member| member.address);
    members
}

/// The vendor as the device itself says it; sysfs remembers its own copy.
fn answers(folder: &Path) -> bool {
    let mut vendor = [0; 2];
    let read =
        fs::File::open(folder.join("config")).and_then(|mut file| file.read_exact(&mut vendor));
    // Where it cannot be read nothing speaks against the device.
    read.is_err() || vendor != [0xff; 2]
}

fn aer(folder: &Path) -> Option<AerCounters> {
    let total = |kind: &str| AerCounters::total(&attribute(folder, &format!("aer_dev_{kind}"))?);
    Some(AerCounters {
        correctable: total("correctable")?,
        nonfatal: total("nonfatal")?,
        fatal: total("fatal")?,
    })
}
