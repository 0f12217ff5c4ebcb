//! Gathering what `doctor` judges. Reads the machine's trees and, where a card can be had, the
//! card's identity registers.

use std::fs;
use std::path::{Path, PathBuf};

use carillon_driver::pci::{PciError, VFIO_DRIVER};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::unistd::{AccessFlags, access};

use crate::reach::is_busy;
use crate::{CardState, Found, Host, Identity, reach};
use carillon_runtime::card::CardAddress;

/// Everything that the findings rest on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The kernel's command line.
    pub command_line: String,
    /// Names of the IOMMUs in use.
    pub iommus: Vec<String>,
    /// Whether vfio-pci is loaded.
    pub has_vfio: bool,
    /// Memory that this process may lock, in bytes; `None` without a limit.
    pub memlock: Option<u64>,
    /// Huge pages; `None` if the kernel has none.
    pub huge_pages: Option<HugePages>,
    /// Whether cards on PCIe matter: not if a simulated card is asked for.
    pub on_pcie: bool,
    /// The cards looked at.
    pub cards: Vec<CardFacts>,
    /// The folder for temporary files.
    pub temporary: Folder,
    /// The user's configuration folder; `None` where there is no home.
    pub configuration: Option<Folder>,
}

/// Huge pages of the usual size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HugePages {
    /// Bytes of one.
    pub bytes: u64,
    /// Set aside.
    pub total: u64,
    /// Of them not in use.
    pub free: u64,
}

/// A folder that must be usable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Where.
    pub path: PathBuf,
    /// Whether it is there.
    pub exists: bool,
    /// Whether this user may read and search it.
    pub readable: bool,
    /// Whether this user may write to it.
    pub writable: bool,
}

/// One card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardFacts {
    /// Where it is.
    pub address: CardAddress,
    /// What Linux says of it; `None` for a card that is not on PCIe.
    pub found: Option<Found>,
    /// What it says of itself.
    pub look: Look,
}

/// A look at a card's registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// It could be read.
    Seen(Identity),
    /// It cannot be opened as things are, for a reason that another finding names.
    NotTried,
    /// Somebody else has it, so it is taken to be well.
    Busy(String),
    /// It could not be opened.
    Failed(String),
}

impl Facts {
    /// Looks at the machine and at `card`, else at all cards on PCIe.
    ///
    /// # Errors
    /// [`PciError`] when the card named is not there, or sysfs cannot be read.
    pub fn gather(
        host: &Host,
        card: Option<&CardAddress>,
        configuration: Option<PathBuf>,
    ) -> Result<Self, PciError> {
        let read = |below| fs::read_to_string(host.procfs.path(below)).unwrap_or_default();
        let cards = match card {
            None => {
                let all = Found::all(host)?.into_iter();
                all.map(|found| CardFacts::on_pcie(found, true)).collect()
            }
            Some(CardAddress::Pci(address)) => {
                let device = host.sysfs.device(*address)?;
                vec![CardFacts::on_pcie(Found::of(host, device), true)]
            }
            Some(address) => vec![CardFacts::elsewhere(address)],
        };
        Ok(Self {
            command_line: read("cmdline").trim().to_owned(),
            iommus: host.sysfs.iommus(),
            has_vfio: host.sysfs.has_driver(VFIO_DRIVER),
            memlock: memlock(&read("self/status")),
            huge_pages: HugePages::parse(&read("meminfo")),
            on_pcie: card.is_none_or(|card| card.pci().is_some()),
            cards,
            temporary: Folder::at(std::env::temp_dir()),
            configuration: configuration.map(Folder::at),
        })
    }
}

impl CardFacts {
    /// A card on PCIe; opened for a look if it is ready and `open` allows it.
    pub fn on_pcie(found: Found, open: bool) -> Self {
        let address = CardAddress::Pci(found.device.address);
        let look = match found.state() {
            CardState::Ready if open => Look::at(&address),
            _ => Look::NotTried,
        };
        Self {
            address,
            found: Some(found),
            look,
        }
    }

    fn elsewhere(address: &CardAddress) -> Self {
        Self {
            address: address.clone(),
            found: None,
            look: Look::at(address),
        }
    }
}

impl Look {
    fn at(address: &CardAddress) -> Self {
        match reach(address) {
            Ok(transport) => Look::Seen(Identity::read(&*transport)),
            Err(error) if is_busy(&error) => Look::Busy(error.to_string()),
            Err(error) => Look::Failed(error.to_string()),
        }
    }
}

impl Folder {
    /// Looks at a folder.
    pub fn at(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        let may = |rights| access(path, rights).is_ok();
        Self {
            path: path.to_owned(),
            exists: path.is_dir(),
            readable: may(AccessFlags::R_OK | AccessFlags::X_OK),
            writable: may(AccessFlags::W_OK | AccessFlags::X_OK),
        }
    }
}

impl HugePages {
    /// From `/proc/meminfo`.
    fn parse(text: &str) -> Option<Self> {
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        Some(Self {
            bytes: value("Hugepagesize:")?.checked_mul(1024)?,
            total: value("HugePages_Total:")?,
            free: value("HugePages_Free:")?,
        })
    }
}

/// The limit on locked memory; a process that may exceed it has none.
fn memlock(status: &str) -> Option<u64> {
    const CAP_IPC_LOCK: u32 = 14;
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let rights = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    if rights.is_some_and(|rights| rights >> CAP_IPC_LOCK & 1 == 1) {
        return None;
    }
    let (soft, _) = getrlimit(Resource::RLIMIT_MEMLOCK).ok()?;
    (soft != RLIM_INFINITY).then_some(soft)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huge_pages_and_rights_are_read_as_the_kernel_writes_them() {
        let text = "MemTotal: 1 kB\nHugePages_Total:      12\nHugePages_Free:        5\n\
                    Hugepagesize:       2048 kB\n";
        let pages = HugePages {
            bytes: 2 << 20,
            total: 12,
            free: 5,
        };
        assert_eq!(HugePages::parse(text), Some(pages));
        assert_eq!(HugePages::parse("MemTotal: 1 kB\n"), None);
        assert_eq!(memlock("Name:\tx\nCapEff:\t0000000000004000\n"), None);
        let own = getrlimit(Resource::RLIMIT_MEMLOCK).unwrap().0;
        let expected = (own != RLIM_INFINITY).then_some(own);
        assert_eq!(memlock("CapEff:\t0000000000003fff\n"), expected);
    }

    #[test]
    fn folders_are_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let seen = Folder::at(folder.path());
        assert!(seen.exists && seen.readable && seen.writable);
        let missing = Folder::at(folder.path().join("no"));
        assert!(!missing.exists && !missing.readable && !missing.writable);
    }
}
