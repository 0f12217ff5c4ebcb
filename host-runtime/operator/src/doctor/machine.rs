//! Findings about the machine: what every card on it needs. Pure.

use super::{Facts, Finding, Folder};

/// Memory that a card's queues and first buffers lock.
const LEAST_MEMLOCK: u64 = 64 << 20;
/// Memory that a large proof may lock: both pools at their limit (`CardConfig::host_memory_limit`).
const FULL_MEMLOCK: u64 = 8 << 30;
/// Huge pages, in bytes, below which most of the pools falls back to small pages.
const LEAST_HUGE: u64 = 1 << 30;

/// All of them, in the order in which they must be fixed.
pub fn findings(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    if facts.on_pcie {
        findings.extend([iommu(facts), module(facts), cards(facts)]);
        findings.extend([memlock(facts), huge_pages(facts)]);
    }
    findings.push(temporary(&facts.temporary));
    findings.extend(facts.configuration.as_ref().map(configuration));
    findings
}

fn iommu(facts: &Facts) -> Finding {
    const SUBJECT: &str = "IOMMU";
    if !facts.iommus.is_empty() {
        return Finding::ok(SUBJECT, facts.iommus.join(", "));
    }
    let words: Vec<_> = facts.command_line.split_whitespace().collect();
    let asked = |word: &&str| {
        let on = ["intel_iommu=on", "amd_iommu=on", "iommu=force"];
        on.iter().any(|on| word.starts_with(on))
    };
    let forbidden = |word: &&str| ["intel_iommu=off", "amd_iommu=off", "iommu=off"].contains(word);
    if let Some(word) = words.iter().find(|word| forbidden(word)) {
        return Finding::fail(
            SUBJECT,
            format!("switched off by `{word}` on the kernel command line"),
            format!(
                "take `{word}` out of GRUB_CMDLINE_LINUX in /etc/default/grub, then: sudo update-grub && sudo reboot"
            ),
        );
    }
    if words.iter().any(asked) {
        return Finding::fail(
            SUBJECT,
            "asked for on the kernel command line, but the machine offers none",
            "enable VT-d (Intel) or AMD-Vi/IOMMU (AMD) in the firmware set-up, then reboot",
        );
    }
    Finding::fail(
        SUBJECT,
        "off: DMA of a card cannot be confined",
        "add intel_iommu=on (Intel; on AMD it is on once the firmware enables it) to \
         GRUB_CMDLINE_LINUX in /etc/default/grub, then: sudo update-grub && sudo reboot",
    )
}

fn module(facts: &Facts) -> Finding {
    const SUBJECT: &str = "driver vfio-pci";
    if facts.has_vfio {
        return Finding::ok(SUBJECT, "loaded");
    }
    Finding::fail(
        SUBJECT,
        "not loaded",
        "sudo modprobe vfio-pci && echo vfio-pci | sudo tee /etc/modules-load.d/carillon.conf",
    )
}

fn cards(facts: &Facts) -> Finding {
    const SUBJECT: &str = "cards";
    match facts.cards.len() {
        0 => Finding::fail(
            SUBJECT,
            "none found on PCIe",
            "check slot and power, then: echo 1 | sudo tee /sys/bus/pci/rescan; lspci -d 10ee:ca11",
        ),
        1 => Finding::ok(SUBJECT, "1 on PCIe"),
        count => Finding::ok(SUBJECT, format!("{count} on PCIe")),
    }
}

fn memlock(facts: &Facts) -> Finding {
    const SUBJECT: &str = "locked memory";
    let fix = "echo '@carillon - memlock unlimited' | sudo tee \
                /etc/security/limits.d/carillon.conf, then log in again; in a systemd unit: \
                LimitMEMLOCK=infinity";
    match facts.memlock {
        None => Finding::ok(SUBJECT, "no limit"),
        Some(limit) if limit < LEAST_MEMLOCK => Finding::fail(
            SUBJECT,
            format!(
                "limit {}, a card needs at least {}",
                size(limit),
                size(LEAST_MEMLOCK)
            ),
            fix,
        ),
        Some(limit) if limit < FULL_MEMLOCK => Finding::warn(
            SUBJECT,
            format!(
                "limit {}, large proofs lock up to {}",
                size(limit),
                size(FULL_MEMLOCK)
            ),
            fix,
        ),
        Some(limit) => Finding::ok(SUBJECT, format!("limit {}", size(limit))),
    }
}

fn huge_pages(facts: &Facts) -> Finding {
    const SUBJECT: &str = "huge pages";
    let Some(pages) = facts.huge_pages else {
        return Finding::warn(
            SUBJECT,
            "the kernel has none: DMA memory is mapped in small pages",
            "use a kernel with CONFIG_HUGETLBFS",
        );
    };
    let free = pages.free.saturating_mul(pages.bytes);
    let found = format!(
        "{} of {} free, {} each",
        pages.free,
        pages.total,
        size(pages.bytes)
    );
    if free >= LEAST_HUGE {
        return Finding::ok(SUBJECT, found);
    }
    // Those in use stay in use.
    let used = pages.total.saturating_sub(pages.free);
    let wanted = used + LEAST_HUGE.div_ceil(pages.bytes.max(1));
    Finding::warn(
        SUBJECT,
        format!("{found}: less than {}", size(LEAST_HUGE)),
        format!(
            "echo 'vm.nr_hugepages = {wanted}' | sudo tee /etc/sysctl.d/60-carillon.conf && sudo sysctl --system"
        ),
    )
}

fn temporary(folder: &Folder) -> Finding {
    const SUBJECT: &str = "temporary folder";
    let path = folder.path.display();
    if folder.writable {
        return Finding::ok(SUBJECT, path.to_string());
    }
    Finding::fail(
        SUBJECT,
        format!("{path} cannot be written"),
        "set TMPDIR to a folder that you may write to",
    )
}

fn configuration(folder: &Folder) -> Finding {
    const SUBJECT: &str = "configuration folder";
    let path = folder.path.display();
    if !folder.exists {
        return Finding::ok(SUBJECT, format!("{path} is not there: defaults are used"));
    }
    if folder.readable {
        return Finding::ok(SUBJECT, path.to_string());
    }
    Finding::fail(
        SUBJECT,
        format!("{path} cannot be read"),
        format!("sudo chown -R $USER {path}"),
    )
}

/// Bytes in the largest unit that divides them.
fn size(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let fitting = units
        .into_iter()
        .find(|(_, bits)| bytes >> bits > 0 && bytes.trailing_zeros() >= *bits);
    match fitting {
        Some((unit, bits)) => format!("{} {unit}", bytes >> bits),
        None => format!("{bytes} bytes"),
    }
}
