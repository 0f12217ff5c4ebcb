//! One proof as one command list: the witness and the polynomials A and B go down once (the two while their rows are
//! computed, where the constraints are recorded: `rows`), the card
//! does C, six transforms (seven for a key in the basis of powers), the quotient and five multi-scalar
//! multiplications in its own memory, and only points come back. On a card without `MSM_G2` they are
//! four, and the fifth runs on the CPU at the same time (`beside`).
//!
//! ```text
//! c        = a b                              (on the domain, where every constraint holds)
//! a, b, c  -INTT-> t -odd NTT-> a, b, c       (three times, t and scratch shared)
//! a        = a b - c                          (values of t h at the odd powers, t = -2)
//! H = msm(h query, a), L, A, B1, B2 = msm(query, witness)
//!
//! in the basis of powers: on the coset of 7 instead,
//! a        = (a b - c) / z
//! a        -coset INTT-> t                    (coefficients of h)
//! H = msm(h query, t)
//! ```

use std::sync::Arc;

use carillon_driver::command::Group;
use carillon_driver::{
    Card, CardInfo, CardRegion, HostBuf, IoQueue, Msm, Ntt, Product, Quotient, Ticket,
};

use super::admission::{Admission, ForProof, Wanted};
use super::clock::{PhaseClock, Seen, Since, apart};
use super::fault::{CardResult, Fault};
use super::keys::{CardKey, Query};
use super::lanes::Lanes;
use super::residue::clear_each;
use super::rows;
use super::sums::{SUMS, Sums, read_points, result_bytes};
use super::tally::Command;
use super::transfer::Writes;
use crate::cpu::{quotient_domain, quotient_factor};
use crate::engine::{Groth16Stats, NttKind};
use crate::groth16::{Assignment, HBasis, Polynomials, ProvingKey};
use crate::image::SCALAR_BYTES;
use crate::progress::{Phase, ProgressEvent, ProgressSink};
use crate::stats::RowStats;

/// Regions of a proof beside its key.
const REGIONS: usize = 8;

/// The polynomials' and working memory of one proof.
struct Workspace {
    polynomials: [CardRegion; 3],
    /// Coefficients between two transforms, at last those of h if the key wants them.
    coefficients: CardRegion,
    scratch: CardRegion,
    witness: CardRegion,
    z: CardRegion,
    results: CardRegion,
}

/// The regions that a proof takes beside its key on this card, in the order of [`Workspace::new`].
pub fn memory(key: &ProvingKey, info: &CardInfo) -> [Wanted; REGIONS] {
    let polynomial = (key.shape.domain() * SCALAR_BYTES) as u64;
    let witness = (key.shape.variables() * SCALAR_BYTES) as u64;
    let results = result_bytes(info);
    let [a, b, c, coefficients, scratch] = [Wanted::secret(polynomial); 5];
    let z = Wanted::secret(SCALAR_BYTES as u64);
    let (witness, results) = (Wanted::secret(witness), Wanted::secret(results));
    [a, b, c, coefficients, scratch, witness, z, results]
}

impl Workspace {
    fn new(regions: [CardRegion; REGIONS]) -> Self {
        let [a, b, c, coefficients, scratch, witness, z, results] = regions;
        Self {
            polynomials: [a, b, c],
            coefficients,
            scratch,
            witness,
            z,
            results,
        }
    }

    /// All of it.
    fn regions(&self) -> Vec<CardRegion> {
        let rest = [
            &self.coefficients,
            &self.scratch,
            &self.witness,
            &self.z,
            &self.results,
        ];
        self.polynomials.iter().chain(rest).cloned().collect()
    }

    /// Overwrites all of it: it holds the witness and what was computed from it. What could not be overwritten. A sum
    /// beside the card runs on meanwhile. For a proof that is given up, `residue` does so.
    async fn clear(&self, card: &Card, queue: &IoQueue) -> Vec<CardRegion> {
        clear_each(card, queue, &self.regions()).await
    }

    fn ntt(&self, source: &CardRegion, destination: &CardRegion, log2: u32, kind: NttKind) -> Ntt {
        Ntt {
            source: source.clone(),
            destination: destination.clone(),
            scratch: self.scratch.clone(),
            log2n: log2 as u8,
            kind: kind.into(),
        }
    }
}

/// Runs the list. Everything is queued before the first answer is awaited: as one chain where the card has
/// those, so that it computes nothing behind a command that failed.
pub async fn run(
    card: &Card,
    (admission, lanes): (&Admission, &Lanes),
    key: &Arc<ProvingKey>,
    assignment: &Arc<Assignment>,
    progress: &dyn ProgressSink,
) -> CardResult<(Sums, Groth16Stats)> {
    let lane = lanes.take().await;
    let lane = lane.ok_or_else(|| Fault::implausible("the card has no queue"))?;
    let queue = lane.queue(card);
    let mut load = PhaseClock::start(Phase::Load, 2, progress);
    let ForProof {
        permit: _permit,
        key: points,
        cost,
        regions,
    } = admission
        .for_proof(card, queue, key, memory(key, card.info()))
        .await?;
    load.card += &cost;
    let memory = Workspace::new(regions);
    let worked = admission.residue(&lane, memory.regions());
    let begun = Since::now(card);
    progress.event(ProgressEvent::Advanced {
        phase: Phase::Load,
        done: 1,
    });
    let list = List {
        card,
        memory: &memory,
        key,
        points: &points,
    };
    let result = async {
        let since = lane.beside();
        let seen = Seen { lane: &lane, since };
        let queued = list.send(queue, assignment).await?;
        // From here on the card works through the list.
        queued.finish(card, seen, load, progress).await
    };
    let mut result = result.await;
    if let Ok((_, stats)) = &mut result {
        let card = stats.load.card.get_or_insert_default();
        card.overlap.clock = begun.passed();
    }
    // After a failure, too; what of the list is still queued ends first.
    worked.kept(memory.clear(card, queue).await);
    drop(points);
    admission.tidy(card).await;
    result
}

/// The command list of one proof that has its memory.
struct List<'a> {
    card: &'a Card,
    memory: &'a Workspace,
    key: &'a ProvingKey,
    points: &'a CardKey,
}

/// What is queued, in the order in which the card works through it.
struct Queued {
    writes: Writes,
    /// What was computed while they were sent.
    rows: RowStats,
    /// The third polynomial.
    product: Ticket<()>,
    /// The polynomials to coefficients, and on to where the quotient is computed.
    transforms: Vec<Ticket<()>>,
    quotient: Ticket<()>,
    /// The coefficients of h, if the key wants them.
    last: Option<Ticket<()>>,
    sums: Vec<(Phase, Group, Ticket<()>)>,
    results: Ticket<HostBuf>,
}

impl List<'_> {
    /// Queues all of it.
    async fn send(&self, queue: &IoQueue, assignment: &Arc<Assignment>) -> CardResult<Queued> {
        // Nobody may wait for host memory of results who has the queue to himself.
        let bytes = result_bytes(self.card.info());
        let results = self.card.buffer_from_card_in_turn(bytes as usize).await?;
        let chain = match self.card.info().link {
            true => queue.chain().await,
            false => queue.series().await,
        };
        // The chain ends with this function: whoever waits for the last command needs that.
        self.queue(&chain, assignment, results).await
    }

    async fn queue(
        &self,
        queue: &IoQueue,
        assignment: &Arc<Assignment>,
        results: HostBuf,
    ) -> CardResult<Queued> {
        let mut writes = Writes::default();
        let rows = self.queue_writes(queue, assignment, &mut writes).await?;
        let product = self.queue_product(queue).await;
        let transforms = self.queue_transforms(queue).await;
        let quotient = self.queue_quotient(queue).await;
        let last = self.queue_last_transform(queue).await;
        let sums = self.queue_sums(queue).await?;
        let results = queue.submit_read(&self.memory.results, results).await;
        Ok(Queued {
            writes,
            rows,
            product,
            transforms,
            quotient,
            last,
            sums,
            results,
        })
    }

    fn log2(&self) -> u32 {
        self.key.shape.domain_log2()
    }

    async fn queue_writes(
        &self,
        queue: &IoQueue,
        assignment: &Arc<Assignment>,
        writes: &mut Writes,
    ) -> CardResult<RowStats> {
        let Self { card, memory, .. } = self;
        let z = [quotient_factor(self.key.basis, self.log2())];
        let witness = assignment.witness();
        writes.send(card, queue, witness, &memory.witness).await?;
        writes.send(card, queue, &z, &memory.z).await?;
        let [a, b, _] = &memory.polynomials;
        match assignment.polynomials() {
            Polynomials::Values(values) => {
                for (values, region) in values.into_iter().zip([a, b]) {
                    writes.send(card, queue, values, region).await?;
                }
                Ok(RowStats::default())
            }
            Polynomials::Recorded(_) => rows::send(card, queue, assignment, [a, b], writes).await,
        }
    }

    async fn queue_product(&self, queue: &IoQueue) -> Ticket<()> {
        let [a, b, c] = &self.memory.polynomials;
        let product = Product {
            a: a.clone(),
            b: b.clone(),
            destination: c.clone(),
            n: self.key.shape.domain() as u64,
        };
        queue.submit_product(&product).await
    }

    /// Two for each polynomial.
    async fn queue_transforms(&self, queue: &IoQueue) -> Vec<Ticket<()>> {
        let memory = self.memory;
        let mut transforms = Vec::with_capacity(6);
        for polynomial in &memory.polynomials {
            let (t, forward) = (&memory.coefficients, quotient_domain(self.key.basis));
            let down = memory.ntt(polynomial, t, self.log2(), NttKind::Inverse);
            let up = memory.ntt(t, polynomial, self.log2(), forward);
            transforms.push(queue.submit_ntt(&down).await);
            transforms.push(queue.submit_ntt(&up).await);
        }
        transforms
    }

    async fn queue_quotient(&self, queue: &IoQueue) -> Ticket<()> {
        let [a, b, c] = &self.memory.polynomials;
        let quotient = Quotient {
            a: a.clone(),
            b: b.clone(),
            c: c.clone(),
            destination: a.clone(),
            n: self.key.shape.domain() as u64,
            z: self.memory.z.clone(),
        };
        queue.submit_quotient(&quotient).await
    }

    async fn queue_last_transform(&self, queue: &IoQueue) -> Option<Ticket<()>> {
        if self.key.basis == HBasis::Odd {
            return None;
        }
        let memory = self.memory;
        let [quotient, ..] = &memory.polynomials;
        let h = &memory.coefficients;
        let last = memory.ntt(quotient, h, self.log2(), NttKind::CosetInverse);
        Some(queue.submit_ntt(&last).await)
    }

    /// In the order in which `read_points` finds their results.
    async fn queue_sums(&self, queue: &IoQueue) -> CardResult<Vec<(Phase, Group, Ticket<()>)>> {
        let (key, points, memory) = (self.key, self.points, self.memory);
        let h = match key.basis {
            HBasis::Powers => &memory.coefficients,
            HBasis::Odd => &memory.polynomials[0],
        };
        let witness = &memory.witness;
        let sums: [(_, Option<&Query>, _, _); SUMS.len()] = [
            (Phase::H, Some(&points.h), h, key.h.len()),
            (Phase::L, Some(&points.l), witness, key.l.len()),
            (Phase::A, Some(&points.a), witness, key.a.len()),
            (Phase::B1, Some(&points.b1), witness, key.b1.len()),
            (Phase::B2, points.b2.as_ref(), witness, key.b2.len()),
        ];
        let mut tickets = Vec::with_capacity(SUMS.len());
        let mut at = 0;
        for (phase, query, scalars, n) in sums {
            let Some(Query {
                group,
                region,
                mode,
            }) = query
            else {
                continue;
            };
            let bytes = group.result_bytes();
            let msm = Msm {
                group: *group,
                bases: region.clone(),
                scalars: scalars.clone(),
                n: n as u64,
                result: memory.results.part(at, bytes)?,
                window_bits: 0,
                mode: *mode,
            };
            at += bytes;
            let ticket = queue.submit_msm(&msm).await;
            tickets.push((phase, *group, ticket));
        }
        Ok(tickets)
    }
}

impl Queued {
    /// Waits for all of it. `load` has run since before the key was looked for.
    async fn finish(
        self,
        card: &Card,
        seen: Seen<'_>,
        mut load: PhaseClock<'_>,
        progress: &dyn ProgressSink,
    ) -> CardResult<(Sums, Groth16Stats)> {
        let Self {
            writes,
            rows,
            product,
            transforms,
            quotient,
            last,
            sums,
            results,
        } = self;
        let mut stats = Groth16Stats::default();
        load.card.rows += &rows;
        let written = writes.finish(Some(seen), &mut load.card);
        written.await.map_err(|fault| fault.at(Phase::Load))?;
        let computing = seen.lane.compute();
        stats.load = load.finish();
        let product = apart(seen, Phase::Quotient, Command::Quotient, product).await?;
        let steps = transforms.len() as u64;
        let mut ntt = PhaseClock::start(Phase::Ntt, steps, progress);
        for transform in transforms {
            ntt.wait(seen, Command::Ntt, transform).await?;
        }
        stats.ntt = ntt.finish();
        let mut clock = PhaseClock::start(Phase::Quotient, 1, progress);
        clock.wait(seen, Command::Quotient, quotient).await?;
        stats.quotient = clock.finish_after(product);
        if let Some(last) = last {
            stats.ntt += &apart(seen, Phase::Ntt, Command::Ntt, last).await?;
        }
        let begun = Since::now(card);
        let in_g2 = sums.iter().any(|(_, group, _)| *group == Group::G2);
        let stages = [
            &mut stats.h,
            &mut stats.l,
            &mut stats.a,
            &mut stats.b1,
            &mut stats.b2,
        ];
        for ((phase, group, ticket), stage) in sums.into_iter().zip(stages) {
            let mut clock = PhaseClock::start(phase, 1, progress);
            clock.wait(seen, Command::Msm(group), ticket).await?;
            *stage = clock.finish();
        }
        drop(computing);
        stats.load.card.get_or_insert_default().overlap.sums = begun.passed();
        let (points, cost) = read_points(results, in_g2).await?;
        stats.load += &cost;
        Ok((points, stats))
    }
}
