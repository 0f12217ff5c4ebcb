//! Findings about one card. Pure.

use carillon_driver::pci::{LinkRate, PciDevice};

use super::{CardFacts, Finding, Look};
use crate::error::{list, member};
use crate::{CardState, Found, Verdict};
use carillon_runtime::card::CardAddress;

/// All of them, in the order in which they must be fixed.
pub fn findings(card: &CardFacts) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(found) = &card.found {
        let gone = found.state() == CardState::Gone;
        findings.push(on_bus(card, found));
        if !gone {
            findings.extend([driver(card, found), group(card, found), file(card, found)]);
            findings.extend(holder(card, found));
            findings.extend(link(card, &found.device));
            findings.extend(bus_errors(card, &found.device));
        }
    }
    findings.extend(gateware(card));
    findings
}

fn subject(card: &CardFacts, what: &str) -> String {
    format!("{} {what}", card.address)
}

fn on_bus(card: &CardFacts, found: &Found) -> Finding {
    let subject = subject(card, "on the bus");
    if !found.device.answers {
        let address = found.device.address;
        return Finding::fail(
            subject,
            "its configuration space reads all ones: it has left the bus",
            format!(
                "check power and slot, then: echo 1 | sudo tee /sys/bus/pci/devices/{address}/remove; \
                 echo 1 | sudo tee /sys/bus/pci/rescan"
            ),
        );
    }
    match found.device.power_state.as_deref() {
        Some(state @ ("D3hot" | "D3cold")) if found.device.driver.is_some() => {
            Finding::ok(subject, format!("yes, asleep ({state}) until it is used"))
        }
        _ => Finding::ok(subject, "yes"),
    }
}

fn driver(card: &CardFacts, found: &Found) -> Finding {
    let subject = subject(card, "driver");
    let fix = format!("sudo carillon bind {}", card.address);
    match &found.device.driver {
        _ if found.device.is_bound_to_vfio() => Finding::ok(subject, "vfio-pci"),
        Some(other) => Finding::fail(subject, format!("{other} instead of vfio-pci"), fix),
        None => Finding::fail(subject, "none", fix),
    }
}

fn group(card: &CardFacts, found: &Found) -> Finding {
    let subject = subject(card, "IOMMU group");
    let Some(group) = found.device.iommu_group else {
        return Finding::fail(
            subject,
            "none",
            "switch the IOMMU on (see `IOMMU` above), then look again",
        );
    };
    let blockers: Vec<_> = found.device.blockers().cloned().collect();
    if blockers.is_empty() {
        return Finding::ok(subject, group.to_string());
    }
    let writes: Vec<_> = blockers
        .iter()
        .map(|blocker| {
            format!(
                "echo {0} | sudo tee /sys/bus/pci/devices/{0}/driver/unbind",
                blocker.address
            )
        })
        .collect();
    Finding::fail(
        subject,
        format!("{group} also has {}", list(&blockers, member)),
        format!(
            "if the machine can do without them: {}; else use a slot whose bridge isolates (ACS)",
            writes.join("; ")
        ),
    )
}

fn file(card: &CardFacts, found: &Found) -> Finding {
    let subject = subject(card, "device file");
    let Some(file) = &found.file else {
        let fix = match found.device.is_bound_to_vfio() {
            true => "sudo udevadm trigger --subsystem-match=vfio; see the end of dmesg".to_owned(),
            false => format!("sudo carillon bind {}", card.address),
        };
        return Finding::fail(subject, "none in /dev/vfio", fix);
    };
    let path = file.path.display();
    let group = file.path.file_name().unwrap_or_default().display();
    let found = format!(
        "{path} (uid {}, gid {}, mode {:o})",
        file.uid, file.gid, file.mode
    );
    if file.may_open {
        return Finding::ok(subject, found);
    }
    Finding::fail(
        subject,
        format!("{found} may not be opened by this user"),
        format!(
            "install the Debian package, whose udev rule does it, or: sudo groupadd -f carillon && \
             sudo usermod -aG carillon $USER && echo 'SUBSYSTEM==\"vfio\", KERNEL==\"{group}\", \
             GROUP=\"carillon\", MODE=\"0660\"' | sudo tee -a \
             /etc/udev/rules.d/61-carillon-local.rules && sudo udevadm control --reload && sudo \
             udevadm trigger --subsystem-match=vfio, then log in again"
        ),
    )
}

/// Who has it, as far as the machine's trees say. What opening it says comes last.
fn holder(card: &CardFacts, found: &Found) -> Option<Finding> {
    let subject = subject(card, "in use");
    Some(match found.holders.first() {
        None if matches!(card.look, Look::Busy(_)) => return None,
        None => Finding::ok(subject, "no"),
        Some(first) => Finding::warn(
            subject,
            format!("held by {}", list(&found.holders, ToString::to_string)),
            format!("if it should not be: kill {}", first.pid),
        ),
    })
}

fn link(card: &CardFacts, device: &PciDevice) -> Option<Finding> {
    let subject = subject(card, "link");
    let (now, most): (LinkRate, LinkRate) = (device.link?, device.max_link?);
    Some(if now.is_below(most) {
        Finding::warn(
            subject,
            format!("{now}, the card can do {most}"),
            "reseat the card, or move it to a slot with all lanes and that speed; then `sudo lspci -vv` shows LnkSta",
        )
    } else {
        Finding::ok(subject, now.to_string())
    })
}

fn bus_errors(card: &CardFacts, device: &PciDevice) -> Option<Finding> {
    let subject = subject(card, "bus errors");
    let aer = device.aer?;
    let found = format!(
        "{} correctable, {} non-fatal, {} fatal",
        aer.correctable, aer.nonfatal, aer.fatal
    );
    let files = format!("see /sys/bus/pci/devices/{}/aer_dev_*", device.address);
    Some(match (aer.correctable, aer.nonfatal + aer.fatal) {
        (0, 0) => Finding::ok(subject, found),
        (_, 0) => Finding::warn(
            subject,
            found,
            format!("{files}; reseat the card if they keep rising (`carillon events --follow`)"),
        ),
        _ => Finding::fail(
            subject,
            found,
            format!(
                "{files}; reseat the card, then: carillon validate -l 2 {}",
                card.address
            ),
        ),
    })
}

fn gateware(card: &CardFacts) -> Vec<Finding> {
    let about = subject(card, "gateware");
    let identity = match &card.look {
        Look::NotTried => return Vec::new(),
        Look::Busy(why) => {
            let who = match &card.address {
                CardAddress::VfioUser(path) => {
                    format!("sudo ss --unix --processes | grep {}", path.display())
                }
                address => format!("sudo carillon doctor {address}"),
            };
            let fix = format!("nothing, if it should be in use; who has it: {who}");
            return vec![Finding::warn(subject(card, "in use"), why.clone(), fix)];
        }
        Look::Failed(why) => {
            // The error names its own next step.
            let fix = format!("carillon examine {}", card.address);
            return vec![Finding::fail(about, why.clone(), fix)];
        }
        Look::Seen(identity) => identity,
    };
    let remarks = identity.remarks();
    if remarks.is_empty() {
        return vec![Finding::ok(
            about,
            format!(
                "contract {}, register map {:#018x}, configuration {}",
                identity.version,
                identity.rdl_hash,
                identity.configuration_name()
            ),
        )];
    }
    let split = |remark: &String| match remark.split_once(": ") {
        Some((found, fix)) if identity.verdict() != Verdict::NotACard => {
            Finding::fail(about.clone(), found, fix)
        }
        _ => Finding::fail(
            about.clone(),
            remark.clone(),
            "check the address with `carillon list`".to_owned(),
        ),
    };
    remarks.iter().map(split).collect()
}
