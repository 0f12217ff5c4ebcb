//! Level 3: `FILL` writes its word and no more; a chain ends at its first failure.

use carillon_driver::command::{Group, MsmMode};
use carillon_driver::completion::Completion;
use carillon_driver::status::StatusCode;
use carillon_driver::{CardRegion, JobError, Msm};

use super::refusals::expect;
use super::transfers::{fetch, same, send};
use super::{Checked, Subject, Wrong, pattern, size, wrong};

/// Bytes of the region: many bursts, and an odd number of beats.
const BYTES: usize = 64 * 1025;
/// Where what is filled begins and ends in it.
const FILLED: std::ops::Range<usize> = 192..64 * 1000;
/// The word: every byte of it is another one.
const WORD: u64 = 0x0123_4567_89ab_cdef;

/// `FILL` on every queue, and the bytes around it.
pub async fn fill(subject: &Subject) -> Checked {
    let card = subject.card();
    for queue in card.queues() {
        let region = card.allocate(BYTES as u64)?;
        let mut expected = pattern(region.address(), BYTES);
        send(subject, queue, &expected, &region).await?;
        let part = region.part(FILLED.start as u64, FILLED.len() as u64)?;
        let filled = queue.fill(WORD, &part).await;
        if !card.info().fill {
            expect(filled, StatusCode::InvalidOpcode)?;
            continue;
        }
        let beats = filled?.ops as usize;
        if beats != FILLED.len() / 64 {
            return Err(wrong(format!("FILL says that it wrote {beats} beats")));
        }
        for word in expected[FILLED].chunks_exact_mut(8) {
            word.copy_from_slice(&WORD.to_le_bytes());
        }
        let found = fetch(subject, queue, &region, BYTES).await?;
        same(&expected, &found, "FILL")?;
    }
    Ok(match card.info().fill {
        true => format!("{} on every queue", size(FILLED.len() as u64)),
        false => "the card has no FILL: nothing to check".to_owned(),
    })
}

/// A chain of writes in which one command is refused: those before it run, those behind it do not.
pub async fn chains(subject: &Subject) -> Checked {
    const LINKS: usize = 5;
    let card = subject.card();
    let mut broken = 0;
    for queue in card.queues() {
        for failing in 0..LINKS {
            let region = card.allocate(64 * LINKS as u64)?;
            send(subject, queue, &[0; 64 * LINKS], &region).await?;
            let chain = queue.chain().await;
            let (mut tickets, mut id) = (Vec::new(), None);
            for link in 0..LINKS {
                let ticket = if link == failing {
                    chain.submit_msm(&without_terms(&region)).await
                } else {
                    let part = region.part(64 * link as u64, 64)?;
                    chain.submit_bytes(&[1; 64], &part).await
                };
                if link == failing {
                    id = ticket.command_id();
                }
                tickets.push(ticket);
            }
            chain.finish();
            let mut ends = Vec::new();
            for ticket in tickets {
                ends.push(ticket.await.result);
            }
            if !card.info().link {
                expect(ends.remove(0), StatusCode::InvalidField)?;
                continue;
            }
            let mut expected = [0; 64 * LINKS];
            expected[..64 * failing].fill(1);
            for (link, end) in ends.into_iter().enumerate() {
                match end {
                    Ok(_) if link < failing => {}
                    Err(JobError::Status { .. }) if link == failing => {}
                    Err(JobError::LinkBroken { failed })
                        if link > failing && Some(failed) == id =>
                    {
                        broken += 1;
                    }
                    other => return Err(strange(link, failing, other)),
                }
            }
            let found = fetch(subject, queue, &region, expected.len()).await?;
            same(&expected, &found, "a chain that broke")?;
        }
    }
    Ok(match card.info().link {
        true => format!("{broken} commands behind a failure, none of them ran"),
        false => "the card has no LINK: nothing to check".to_owned(),
    })
}

fn strange(link: usize, failing: usize, end: Result<Completion, JobError>) -> Wrong {
    let what = end.map_or_else(|error| error.to_string(), |_| "it succeeded".to_owned());
    wrong(format!(
        "command {link} of a chain whose command {failing} fails: {what}"
    ))
}

/// What every card refuses.
fn without_terms(region: &CardRegion) -> Msm {
    Msm {
        group: Group::G1,
        bases: region.clone(),
        scalars: region.clone(),
        n: 0,
        result: region.clone(),
        window_bits: 0,
        mode: MsmMode::Split,
    }
}
