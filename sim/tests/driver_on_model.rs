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

/// A card without `MSM_G2`, `FILL` and `LINK`, as older ones are.
struct Older(Arc<ModelCard>);

impl Rig for Older {
    const NAME: &str = "";
    const LONG: usize = 8 << 20;
    const LAPS: usize = 500;
    const THIN: usize = 1;

    fn new() -> Self {
        let options = ModelOptions {
            msm_g2: false,
            fill: false,
            link: false,
            ..ModelOptions::default()
        };
        Self(Arc::new(ModelCard::new(options).unwrap()))
    }
    card_of_this_process!();
    fn stall() -> Duration {
        Duration::from_millis(500)
    }
}

/// What a card without the later commands says of itself, and how it answers them.
mod older {
    use super::*;

    suite! { [allow(missing_docs)] Older:
        operations::{
            identity_equals_the_registers,
            msm_equals_blstrs,
            msm_in_g2_is_there_if_the_card_says_so,
        }
        chains::{a_fill_writes_its_word_and_no_more, a_chain_runs_to_its_end}
        residue::{the_next_opener_reads_nothing, one_region_is_cleared_and_no_more}
        validation::{every_status_of_the_table}
    }
}

whole_suite!(Model);
late_suite!(Model);
