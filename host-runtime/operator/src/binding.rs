//! Handing a card to vfio-pci and back to the kernel: first a plan, then its writes.
//!
//! A plan is made from what was read, without any write, so that it can be shown and tested.
//! Only Carillon cards are ever bound or unbound.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use carillon_driver::pci::{PciAddress, VFIO_DRIVER};
use nix::unistd::{Uid, User, chown};

use super::{Found, Host, OperateError};

/// How long the kernel is given to follow.
const LIMIT: Duration = Duration::from_secs(3);
/// Time between two looks at what it did.
const PAUSE: Duration = Duration::from_millis(20);

/// One change to the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write `value` to an attribute.
    Write {
        /// The attribute.
        path: PathBuf,
        /// The text; a line end alone clears it.
        value: String,
    },
    /// Give the group's device file to a user, as soon as it is there.
    Give {
        /// The device file.
        path: PathBuf,
        /// The user's id.
        uid: u32,
    },
}

/// As a command of a shell.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Write { path, value } if value.trim().is_empty() => {
                write!(f, "echo > {}", path.display())
            }
            Step::Write { path, value } => write!(f, "echo {value} > {}", path.display()),
            Step::Give { path, uid } => write!(f, "chown {uid} {}", path.display()),
        }
    }
}

/// What will be done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The card.
    pub address: PciAddress,
    /// The driver that has it now.
    pub before: Option<String>,
    /// The driver that shall have it: a name, or whichever the kernel chooses.
    pub wanted: Option<String>,
    /// The driver that the kernel was told to take, before the steps.
    pub override_before: Option<String>,
    /// The steps; none if all is as it should be.
    pub steps: Vec<Step>,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The driver that has the card now.
    pub driver: Option<String>,
}

/// Plans to hand a card to vfio-pci, and its device file to a user.
///
/// # Errors
/// [`OperateError`] when the card is held, its group is shared or there is no IOMMU or driver.
pub fn plan_bind(host: &Host, found: &Found, user: Option<&str>) -> Result<Plan, OperateError> {
    let device = &found.device;
    let address = device.address;
    let Some(group) = device.iommu_group else {
        return Err(OperateError::NoIommu { address });
    };
    let members: Vec<_> = device.blockers().cloned().collect();
    if !members.is_empty() {
        return Err(OperateError::Blocked {
            address,
            group,
            members,
        });
    }
    let uid = user.map(user_id).transpose()?;
    let mut steps = Vec::new();
    if !device.is_bound_to_vfio() {
        free(found)?;
        require(host, VFIO_DRIVER)?;
        steps.extend(change(host, found, Some(VFIO_DRIVER)));
    }
    steps.extend(uid.map(|uid| Step::Give {
        path: host.vfio.group_path(group),
        uid: uid.as_raw(),
    }));
    Ok(Plan {
        address,
        before: device.driver.clone(),
        wanted: Some(VFIO_DRIVER.to_owned()),
        override_before: device.driver_override.clone(),
        steps,
    })
}

/// Plans to take a card from vfio-pci and give it to `driver`, else to the driver that the kernel
/// chooses for it, which is the one that it had before it was bound.
///
/// # Errors
/// [`OperateError`] when the card is held, or there is no such driver.
pub fn plan_unbind(host: &Host, found: &Found, driver: Option<&str>) -> Result<Plan, OperateError> {
    let device = &found.device;
    let mut plan = Plan {
        address: device.address,
        before: device.driver.clone(),
        wanted: driver.map(str::to_owned),
        override_before: device.driver_override.clone(),
        steps: Vec::new(),
    };
    let is_there = match driver {
        Some(driver) => device.driver.as_deref() == Some(driver),
        None => !device.is_bound_to_vfio() && device.driver_override.is_none(),
    };
    if !is_there {
        free(found)?;
        if let Some(driver) = driver {
            require(host, driver)?;
        }
        plan.steps = change(host, found, driver);
    }
    Ok(plan)
}

fn free(found: &Found) -> Result<(), OperateError> {
    if found.holders.is_empty() {
        return Ok(());
    }
    Err(OperateError::Busy {
        address: found.device.address,
        holders: found.holders.clone(),
    })
}

fn require(host: &Host, driver: &str) -> Result<(), OperateError> {
    // A name, not a path.
    if !driver.contains(['/', '\n']) && host.sysfs.has_driver(driver) {
        return Ok(());
    }
    Err(OperateError::NoDriver {
        driver: driver.to_owned(),
    })
}

fn user_id(name: &str) -> Result<Uid, OperateError> {
    match User::from_name(name) {
        Ok(Some(user)) => Ok(user.uid),
        _ => Err(OperateError::User {
            name: name.to_owned(),
        }),
    }
}

/// The writes that change a card's driver. The kernel then finds the new one by itself.
fn change(host: &Host, found: &Found, driver: Option<&str>) -> Vec<Step> {
    let address = found.device.address;
    let write = |path: PathBuf, value: &str| Step::Write {
        path,
        value: value.to_owned(),
    };
    let mut steps = vec![write(
        host.sysfs.device_path(address).join("driver_override"),
        driver.unwrap_or("\n"),
    )];
    if let Some(current) = &found.device.driver {
        let unbind = host.sysfs.driver_path(current).join("unbind");
        steps.push(write(unbind, &address.to_string()));
    }
    let probe = host.sysfs.path("bus/pci/drivers_probe");
    steps.push(write(probe, &address.to_string()));
    steps
}

/// Makes the plan's changes and looks whether the kernel followed. If a change is refused, or the
/// kernel did not follow, `driver_override` is again what it was, and a card without a driver is
/// offered to the kernel's drivers again.
///
/// # Errors
/// [`OperateError::Pci`], [`OperateError::NotTaken`], [`OperateError::File`].
pub fn apply(host: &Host, plan: &Plan) -> Result<Applied, OperateError> {
    for step in &plan.steps {
        match step {
            Step::Write { path, value } => host
                .sysfs
                .write(path, value)
                .inspect_err(|_| undo(host, plan))?,
            Step::Give { path, uid } => give(path, *uid)?,
        }
    }
    let driver = settled(host, plan).inspect_err(|_| undo(host, plan))?;
    let not_taken = |wanted: &str, found: Option<&str>| {
        undo(host, plan);
        OperateError::NotTaken {
            address: plan.address,
            wanted: wanted.to_owned(),
            found: found.unwrap_or("no driver").to_owned(),
        }
    };
    match (&plan.wanted, driver.as_deref()) {
        (Some(wanted), found) if found != Some(wanted) => Err(not_taken(wanted, found)),
        (None, Some(VFIO_DRIVER)) => Err(not_taken("another driver", Some(VFIO_DRIVER))),
        _ => Ok(Applied { driver }),
    }
}

/// After a failure: the kernel's choice of a driver is again what it was before the plan.
fn undo(host: &Host, plan: &Plan) {
    if !plan
        .steps
        .iter()
        .any(|step| matches!(step, Step::Write { .. }))
    {
        return;
    }
    let write = |path: PathBuf, value: &str| {
        if let Err(error) = host.sysfs.write(&path, value) {
            tracing::warn!(
                %error,
                "{} is left as it is: set it with `echo {} > {}`",
                path.display(),
                value.trim(),
                path.display()
            );
        }
    };
    let before = plan.override_before.as_deref().unwrap_or("\n");
    let device = host.sysfs.device_path(plan.address);
    write(device.join("driver_override"), before);
    // A driver that took the card in spite of it keeps the card: `found` names it.
    let driverless = host
        .sysfs
        .device(plan.address)
        .is_ok_and(|d| d.driver.is_none());
    if driverless {
        write(
            host.sysfs.path("bus/pci/drivers_probe"),
            &plan.address.to_string(),
        );
    }
}

/// The card's driver once it is the one wanted, or after the limit.
fn settled(host: &Host, plan: &Plan) -> Result<Option<String>, OperateError> {
    let start = Instant::now();
    loop {
        let late = start.elapsed() >= LIMIT;
        let driver = host.sysfs.device(plan.address)?.driver;
        let done = match &plan.wanted {
            Some(wanted) => driver.as_ref() == Some(wanted),
            None => driver.as_deref() != Some(VFIO_DRIVER),
        };
        if done || late {
            return Ok(driver);
        }
        std::thread::sleep(PAUSE);
    }
}

fn give(path: &std::path::Path, uid: u32) -> Result<(), OperateError> {
    let start = Instant::now();
    while !path.exists() && start.elapsed() < LIMIT {
        std::thread::sleep(PAUSE);
    }
    chown(path, Some(Uid::from_raw(uid)), None).map_err(|errno| OperateError::File {
        path: path.to_owned(),
        cause: errno.into(),
    })
}
