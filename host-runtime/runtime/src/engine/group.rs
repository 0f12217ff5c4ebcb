//! Either group by one name, for callers that handle sums in both alike. Used by the checks of cards
//! and by benchmarks.

use async_trait::async_trait;
use blstrs::{G1Affine, G2Affine, Scalar};
use carillon_driver::command::Group;
use carillon_driver::windows::WindowChoice;

use super::{Bases, Engine, EngineError, EngineInfo, MsmOptions};
use crate::image::PointImage;
use crate::stats::JobStats;

/// Points that engines sum.
#[async_trait]
pub trait SumPoint: PointImage {
    /// [`Engine::msm_g1_with`] or [`Engine::msm_g2_with`].
    async fn sum(
        engine: &dyn Engine,
        bases: Bases<'_, Self>,
        scalars: &[Scalar],
        options: MsmOptions,
    ) -> Result<(Self, JobStats), EngineError>;
}

#[async_trait]
impl SumPoint for G1Affine {
    async fn sum(
        engine: &dyn Engine,
        bases: Bases<'_, Self>,
        scalars: &[Scalar],
        options: MsmOptions,
    ) -> Result<(Self, JobStats), EngineError> {
        engine.msm_g1_with(bases, scalars, options).await
    }
}

#[async_trait]
impl SumPoint for G2Affine {
    async fn sum(
        engine: &dyn Engine,
        bases: Bases<'_, Self>,
        scalars: &[Scalar],
        options: MsmOptions,
    ) -> Result<(Self, JobStats), EngineError> {
        engine.msm_g2_with(bases, scalars, options).await
    }
}

impl EngineInfo {
    /// Whether sums in this group run on a card.
    pub fn sums_on_card(&self, group: Group) -> bool {
        match group {
            Group::G1 => self.msm_adders.is_some(),
            Group::G2 => self.msm_g2,
        }
    }

    /// The windows that the card chooses in this group; `None` if it does not say.
    pub fn window_choice_in(&self, group: Group) -> Option<WindowChoice> {
        match group {
            Group::G1 => self.window_choice,
            Group::G2 => self.g2_window_choice,
        }
    }
}
