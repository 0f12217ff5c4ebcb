//! Made-up machines: the trees `sys`, `proc` and `dev` in a temporary folder, and a kernel that
//! follows what is written to them.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers fail the test that calls them
#![allow(dead_code)] // each test binary uses its own part

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use carillon_operator::Host;

/// The card that most tests have.
pub const CARD: &str = "0000:03:00.0";
/// Its IOMMU group.
pub const GROUP: u32 = 12;

/// A machine. Sound unless a test changes it.
pub struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    /// A machine without cards.
    pub fn empty() -> Self {
        let machine = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        for folder in [
            "sys/bus/pci/devices",
            "sys/class/iommu/dmar0",
            "sys/kernel/iommu_groups",
            "dev/vfio",
            "proc/self",
        ] {
            fs::create_dir_all(machine.path(folder)).unwrap();
        }
        machine.driver("vfio-pci");
        machine.driver("xdma");
        machine.write("sys/bus/pci/drivers_probe", "");
        machine.write("dev/vfio/vfio", "");
        machine.write("proc/cmdline", "quiet intel_iommu=on\n");
        machine.write("proc/self/status", "CapEff:\t000001ffffffffff\n");
        machine.write(
            "proc/meminfo",
            "HugePages_Total:    1024\nHugePages_Free:     1000\nHugepagesize:       2048 kB\n",
        );
        machine
    }

    /// A machine with one card, bound to vfio-pci.
    pub fn with_card() -> Self {
        let machine = Self::empty();
        machine.device(CARD, GROUP, ["0x10ee", "0xca11", "0x120000"]);
        machine.bind(CARD, "vfio-pci");
        machine.write(&format!("dev/vfio/{GROUP}"), "");
        for (name, text) in [
            ("numa_node", "1\n"),
            ("current_link_speed", "16.0 GT/s PCIe\n"),
            ("current_link_width", "16\n"),
            ("max_link_speed", "16.0 GT/s PCIe\n"),
            ("max_link_width", "16\n"),
            ("reset_method", "flr bus\n"),
            ("power_state", "D0\n"),
            ("aer_dev_correctable", "RxErr 0\nTOTAL_ERR_COR 0\n"),
            ("aer_dev_nonfatal", "TOTAL_ERR_NONFATAL 0\n"),
            ("aer_dev_fatal", "TOTAL_ERR_FATAL 0\n"),
        ] {
            machine.attribute(CARD, name, text);
        }
        machine
    }

    pub fn host(&self) -> Host {
        Host::at(self.folder.path())
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// Writes a file and the folders above it.
    pub fn write(&self, below: &str, text: &str) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A file's text.
    pub fn read(&self, below: &str) -> String {
        fs::read_to_string(self.path(below)).unwrap()
    }

    pub fn attribute(&self, device: &str, name: &str, text: &str) {
        self.write(&format!("sys/bus/pci/devices/{device}/{name}"), text);
    }

    /// A kernel driver.
    pub fn driver(&self, name: &str) {
        self.write(&format!("sys/bus/pci/drivers/{name}/unbind"), "");
    }

    /// A device of this vendor, device and class, without a driver.
    pub fn device(&self, address: &str, group: u32, [vendor, device, class]: [&str; 3]) {
        for (name, text) in [("vendor", vendor), ("device", device), ("class", class)] {
            self.attribute(address, name, text);
        }
        self.attribute(address, "driver_override", "(null)\n");
        let group = self.path(&format!("sys/kernel/iommu_groups/{group}"));
        fs::create_dir_all(group.join("devices")).unwrap();
        let folder = self.path(&format!("sys/bus/pci/devices/{address}"));
        symlink(&group, folder.join("iommu_group")).unwrap();
        symlink(&folder, group.join("devices").join(address)).unwrap();
    }

    pub fn bind(&self, device: &str, driver: &str) {
        self.unbind(device);
        let folder = self.path(&format!("sys/bus/pci/devices/{device}"));
        let driver = self.path(&format!("sys/bus/pci/drivers/{driver}"));
        symlink(driver, folder.join("driver")).unwrap();
    }

    pub fn unbind(&self, device: &str) {
        let _ = fs::remove_file(self.path(&format!("sys/bus/pci/devices/{device}/driver")));
    }

    /// Takes a device off the bus.
    pub fn unplug(&self, device: &str) {
        fs::remove_dir_all(self.path(&format!("sys/bus/pci/devices/{device}"))).unwrap();
    }

    /// A process that holds the device file of the card's group.
    pub fn hold(&self, pid: u32, command: &str) {
        self.write(&format!("proc/{pid}/comm"), &format!("{command}\n"));
        let open = self.path(&format!("proc/{pid}/fd"));
        fs::create_dir_all(&open).unwrap();
        symlink(self.path(&format!("dev/vfio/{GROUP}")), open.join("7")).unwrap();
    }

    pub fn release(&self, pid: u32) {
        fs::remove_dir_all(self.path(&format!("proc/{pid}"))).unwrap();
    }

    /// Text without the machine's own folder.
    pub fn redact(&self, text: &str) -> String {
        text.replace(self.root().to_str().unwrap(), "")
    }

    /// Starts a kernel that binds what is written to `drivers_probe`: to the driver of
    /// `driver_override`, else to `usual`.
    pub fn kernel(&self, usual: Option<&'static str>) -> Kernel {
        let stop = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&stop);
        let root = self.root().to_owned();
        let thread = std::thread::spawn(move || {
            while !theirs.load(Ordering::Acquire) {
                follow(&root, usual);
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        Kernel {
            stop,
            thread: Some(thread),
        }
    }
}

fn follow(root: &Path, usual: Option<&str>) {
    let probe = root.join("sys/bus/pci/drivers_probe");
    let device = fs::read_to_string(&probe).unwrap_or_default();
    if device.is_empty() {
        return;
    }
    fs::write(&probe, "").unwrap();
    let folder = root.join("sys/bus/pci/devices").join(device.trim());
    let wanted = fs::read_to_string(folder.join("driver_override")).unwrap();
    let wanted = match wanted.trim() {
        "" | "(null)" => usual,
        name => Some(name),
    };
    let _ = fs::remove_file(folder.join("driver"));
    if let Some(wanted) = wanted {
        let driver = root.join("sys/bus/pci/drivers").join(wanted);
        symlink(driver, folder.join("driver")).unwrap();
    }
    if wanted == Some("vfio-pci") {
        fs::write(root.join(format!("dev/vfio/{GROUP}")), "").unwrap();
    }
}

/// A running kernel; ends when dropped.
pub struct Kernel {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Kernel {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}
