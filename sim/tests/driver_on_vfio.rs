//! The driver's suite through Linux VFIO, on the cards that
//! `CARILLON_TEST_VFIO` names (PCI addresses, separated by commas; the first one
//! that is free is taken, and one test needs two). Meant for the virtual machine of
//! `make vm-test`, whose card is a simulated one: faults reach it through its
//! window. An ordinary `cargo test` counts these tests as ignored.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod suite;

use std::sync::Arc;
use std::time::{Duration, Instant};

use carillon_driver::pci::PciAddress;
use carillon_driver::transport::Transport;
use carillon_driver::vfio::VfioCard;
use carillon_sim::faults::CardFault;
use carillon_sim::vfio_user::side_channel::{Command, Window};

use suite::Rig;

struct Vfio(Arc<VfioCard>);

fn addresses() -> Vec<PciAddress> {
    let given = std::env::var("CARILLON_TEST_VFIO").expect(
        "no card: set CARILLON_TEST_VFIO to a PCI address, or run the suite with `make vm-test`",
    );
    given.split(',').map(|a| a.parse().unwrap()).collect()
}

/// The card, if it is sound. One may be this test's other card, or held by the test before, which
/// is just letting go; and one that another test has lost does not break this test.
fn taken(address: PciAddress) -> Result<VfioCard, String> {
    let card = VfioCard::open(address).map_err(|error| error.to_string())?;
    for command in [Command::Replug, Command::Heal] {
        let done = card.command(command).map_err(|error| error.to_string())?;
        if !done {
            return Err(format!("{address} refused {command:?}"));
        }
    }
    Ok(card)
}

impl Rig for Vfio {
    const NAME: &str = "vfio";
    const LONG: usize = 8 << 20;
    const LAPS: usize = 20;
    const THIN: usize = 16;
    // Linux's driver for Intel's IOMMU grants reading with writing.
    const UNREADABLE: bool = false;
    // Linux tells the card to reset itself, waits, and takes it for done.
    const RESET_IS_CHECKED: bool = false;

    fn new() -> Self {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let mut why = Vec::new();
            for address in addresses() {
                match taken(address) {
                    Ok(card) => return Self(Arc::new(card)),
                    Err(error) => why.push(error),
                }
            }
            assert!(Instant::now() < end, "no card: {why:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    fn transport(&self) -> Arc<dyn Transport> {
        Arc::clone(&self.0) as Arc<dyn Transport>
    }
    fn inject(&self, fault: CardFault) -> bool {
        self.0.inject(&fault).unwrap()
    }
    fn heal(&self) {
        self.0.command(Command::Heal).unwrap();
    }
    fn unplug(&self) -> bool {
        self.0.command(Command::Unplug).unwrap()
    }
    fn replug(&self) -> bool {
        self.0.command(Command::Replug).unwrap()
    }
    // The guest's IOMMU maps page by page: a number that says nothing.
    fn mapped(&self) -> Option<usize> {
        None
    }
    fn rogue(&self) -> Option<(u64, u64)> {
        Some(Window::rogue(&*self.0).unwrap())
    }
    fn stall() -> Duration {
        Duration::from_secs(2)
    }
}

whole_suite!(Vfio, [ignore = "needs a card behind VFIO: make vm-test"]);
