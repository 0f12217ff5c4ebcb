//! Level 3: both resets, and that the card works afterwards.

use carillon_driver::{JobError, ResetLevel};

use super::transfers::{fetch, same, send};
use super::{Checked, Subject, Wrong, basics, compute, pattern, transfers, wrong};

/// Bytes that are looked at again after a reset.
const BYTES: usize = 65536;

/// A controller reset keeps card memory.
pub async fn controller(subject: &Subject) -> Checked {
    let card = subject.card();
    let region = card.allocate(BYTES as u64)?;
    let data = pattern(0xc0, BYTES);
    send(subject, card.queue(0), &data, &region).await?;
    card.reset(ResetLevel::Controller).await?;
    let back = fetch(subject, card.queue(0), &region, BYTES).await?;
    same(&data, &back, "card memory after a controller reset")?;
    again(subject).await?;
    Ok("card memory kept, all works again".to_owned())
}

/// A function-level reset ends all regions; new ones work.
pub async fn function(subject: &Subject) -> Checked {
    let card = subject.card();
    let region = card.allocate(BYTES as u64)?;
    card.reset(ResetLevel::Function).await?;
    let buffer = card.buffer_to_card(64)?;
    match card.queue(0).write(buffer, &region).await.result {
        Err(JobError::StaleRegion) => {}
        other => {
            return Err(wrong(format!(
                "a region of before the reset was not refused: {other:?}"
            )));
        }
    }
    again(subject).await?;
    Ok("regions of before are refused, all works again".to_owned())
}

/// A little of everything.
async fn again(subject: &Subject) -> Result<(), Wrong> {
    basics::identity(subject).await?;
    basics::status(subject).await?;
    transfers::plain(subject).await?;
    compute::quotient(subject).await?;
    compute::msm_outside(subject).await?;
    Ok(())
}
