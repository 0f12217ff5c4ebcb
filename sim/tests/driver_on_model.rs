//! The driver's suite on the functional card.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod suite;

use std::sync::Arc;
use std::time::Duration;

use carillon_driver::transport::Transport;
use carillon_sim::card::SimCard;
use carillon_sim::faults::CardFault;
use carillon_sim::model::{ModelCard, ModelOptions};

use suite::Rig;

struct Model(Arc<ModelCard>);

impl Rig for Model {
    const NAME: &str = "sim:model";
    const LONG: usize = 8 << 20;
    const LAPS: usize = 500;
    const WRAPS: usize = 1 << 16;
    const THIN: usize = 1;

    fn new() -> Self {
        Self(Arc::new(ModelCard::new(ModelOptions::default()).unwrap()))
    }
    card_of_this_process!();
    fn stall() -> Duration {
        Duration::from_millis(500)
    }
}

whole_suite!(Model);
late_suite!(Model);
