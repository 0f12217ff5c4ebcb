//! One command stream, two cards: the functional card and the gateware must
//! give the same completions in the same order and leave the same memory.
//!
//! Streams are random but repeatable: valid commands, commands with one thing
//! wrong, faulty data, unreachable host memory, scatter/gather lists. Compared
//! are status, id, order, submission head, the index of a faulty element and
//! the operations that do not depend on time; not cycles and bubbles, which the
//! model does not know. MSM results are compared as points, since the contract
//! leaves the representative open.
#![cfg(feature = "rtl")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use blstrs::{G1Projective, G2Projective};

use carillon_driver::command::{Command, FLAG_LINK, Group, MsmMode, NttKind, Opcode, RawCommand};
use carillon_driver::completion::Completion;
use carillon_driver::identity::{FEATURE_FILL, FEATURE_LINK, FEATURE_MSM_G2};
use carillon_driver::status::StatusCode;
use carillon_sim::model::{ModelCard, ModelOptions};
use carillon_sim::rtl::{RtlCard, RtlOptions};
use carillon_workload::vectors::{self, BasePattern, Curve, ScalarPattern};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use support::{RawHost, RawQueue, write};

// Card memory: elements that commands read and write, points that they read,
// results of MSMs, and the working memory of transforms, which is undefined
// afterwards and never read.
const DATA: u64 = 0;
const DATA_BYTES: u64 = 32 << 10;
const BASES_COUNT: u64 = 48;
const RESULTS: u64 = 2 << 20;
const RESULT_SLOTS: u64 = 8;
const SCRATCH: u64 = 3 << 20;
const MEMORY: u64 = 1 << 28;

// Host memory, by offset behind the rings.
const HOST_BYTES: u64 = 16 << 10;
const LISTS: usize = 8;
// Commands that a ring of eight holds.
const BATCH: usize = 7;

/// Where the points of a group lie.
fn bases(group: Group) -> u64 {
    match group {
        Group::G1 => 1 << 20,
        Group::G2 => (1 << 20) + (1 << 19),
    }
}

/// Where its results lie, a slot each with a beat behind it that nothing may write.
fn results(group: Group) -> (u64, u64) {
    match group {
        Group::G1 => (RESULTS, 256),
        Group::G2 => (RESULTS + (1 << 16), 384),
    }
}

/// Bytes of all of them, one group behind the other.
fn results_bytes() -> u64 {
    Group::ALL
        .map(|group| RESULT_SLOTS * results(group).1)
        .iter()
        .sum()
}

/// One card with a host that drives it by hand.
struct Side {
    host: RawHost,
    data: usize,
    lists: usize,
    identity: usize,
}

impl Side {
    fn new(host: RawHost) -> Self {
        let data = host.allocate(HOST_BYTES as usize);
        let lists = host.allocate(LISTS * 256);
        let identity = host.allocate(4096);
        Self {
            host,
            data,
            lists,
            identity,
        }
    }

    /// What the card says that it has: the feature byte of its identity page.
    fn features(&self) -> u8 {
        let mut admin = RawQueue::new(&self.host, 0, 1);
        let page = self.host.address(self.identity);
        let identify = Command::Identify { page }.encode(0xfff4);
        admin.expect(&identify, StatusCode::Success);
        admin.disable();
        self.host.bytes(self.identity, 40)[39]
    }

    /// All of card memory that is defined.
    fn image(&self, queue: &mut RawQueue<'_>) -> (Vec<u8>, Vec<u8>) {
        let to = self.host.allocate((DATA_BYTES + results_bytes()) as usize);
        for (card, bytes, at) in areas() {
            let raw = support::read(0xfff0, self.host.address(to) + at, card, bytes);
            queue.expect(&raw, StatusCode::Success);
        }
        (
            self.host.bytes(to, DATA_BYTES as usize),
            self.host
                .bytes(to + DATA_BYTES as usize, results_bytes() as usize),
        )
    }
}

/// What is written and compared: start and bytes in card memory, place in the host's image of all.
fn areas() -> [(u64, u64, u64); 3] {
    let [(g1, of_g1), (g2, of_g2)] = Group::ALL.map(|group| {
        let (start, slot) = results(group);
        (start, RESULT_SLOTS * slot)
    });
    [
        (DATA, DATA_BYTES, 0),
        (g1, of_g1, DATA_BYTES),
        (g2, of_g2, DATA_BYTES + of_g1),
    ]
}

/// What a stream is drawn from.
struct Stream {
    rng: ChaCha20Rng,
    /// What the cards have.
    features: u8,
    host: u64,
    lists: u64,
    cid: u16,
}

impl Stream {
    fn has(&self, feature: u8) -> bool {
        self.features & feature != 0
    }

    /// An aligned range of `bytes` bytes in an area.
    fn place(&mut self, start: u64, area: u64, bytes: u64) -> u64 {
        let places = (area - bytes.next_multiple_of(64)) / 64;
        start + 64 * self.rng.gen_range(0..=places)
    }

    fn host_range(&mut self, bytes: u64) -> u64 {
        if self.rng.gen_bool(0.04) {
            return 0x40; // mapped on no card
        }
        let host = self.host;
        self.place(host, HOST_BYTES, bytes)
    }

    /// A command that passes the checks, and the list that it names.
    fn sound(&mut self, slot: usize) -> (Command, Vec<u8>) {
        let mut list = Vec::new();
        let command = match self.rng.gen_range(0..10) {
            0 if self.has(FEATURE_FILL) && self.rng.gen_bool(0.5) => {
                let bytes = 64 * self.rng.gen_range(1..=40);
                // Elements stay below the modulus, so that what follows runs.
                let word = self.rng.gen_range(0..1 << 62);
                let card = self.place(DATA, DATA_BYTES, bytes);
                Command::Fill { word, card, bytes }
            }
            0..3 => {
                let beats = self.rng.gen_range(1..=40);
                let (bytes, to_card) = (64 * beats, self.rng.gen_bool(0.5));
                let card = self.place(DATA, DATA_BYTES, bytes);
                let scattered = self.rng.gen_bool(0.4);
                let host = if scattered {
                    list = self.list(beats);
                    self.lists + 256 * slot as u64
                } else {
                    self.host_range(bytes)
                };
                if to_card {
                    Command::Write {
                        host,
                        card,
                        bytes,
                        list: scattered,
                    }
                } else {
                    Command::Read {
                        host,
                        card,
                        bytes,
                        list: scattered,
                    }
                }
            }
            3..5 => {
                let n = self.rng.gen_range(1..=20);
                let group = match self.has(FEATURE_MSM_G2) && self.rng.gen_bool(0.5) {
                    true => Group::G2,
                    false => Group::G1,
                };
                let (point, (start, slot)) = (group.point_bytes(), results(group));
                Command::Msm {
                    group,
                    bases: self.place(bases(group), point * BASES_COUNT, point * n),
                    scalars: self.place(DATA, DATA_BYTES, 32 * n),
                    n,
                    result: start + slot * self.rng.gen_range(0..RESULT_SLOTS),
                    window_bits: *[0, 1, 2, 8, 13].get(self.rng.gen_range(0..5)).unwrap(),
                    mode: *[MsmMode::Split, MsmMode::Full]
                        .get(self.rng.gen_range(0..2))
                        .unwrap(),
                }
            }
            5..8 => {
                let log2n = self.rng.gen_range(0..=6u8);
                let bytes = 32 << log2n;
                // Halves of the area, so that they never overlap.
                let (a, b) = (DATA, DATA + DATA_BYTES / 2);
                let (a, b) = if self.rng.gen_bool(0.5) {
                    (a, b)
                } else {
                    (b, a)
                };
                Command::Ntt {
                    source: self.place(a, DATA_BYTES / 2, bytes),
                    destination: self.place(b, DATA_BYTES / 2, bytes),
                    scratch: SCRATCH,
                    log2n,
                    kind: NttKind::ALL[self.rng.gen_range(0..NttKind::ALL.len())],
                }
            }
            _ => {
                let n = self.rng.gen_range(1..=70);
                // Operands in one quarter each: they overlap as a whole or not.
                let quarter = DATA_BYTES / 4;
                let mut at = |q: u64| self.place(DATA + q * quarter, quarter, 32 * n);
                let (a, b, c, own) = (at(0), at(1), at(2), at(3));
                let destination = *[a, b, c, own].get(self.rng.gen_range(0..4)).unwrap();
                let z = self.place(DATA, DATA_BYTES, 32);
                let z = if z >= destination && z < destination + 32 * n {
                    own
                } else {
                    z
                };
                if self.rng.gen_bool(0.3) && destination != c {
                    Command::Product {
                        a,
                        b,
                        destination,
                        n,
                    }
                } else {
                    Command::Quotient {
                        a,
                        b,
                        c,
                        destination,
                        n,
                        z,
                    }
                }
            }
        };
        (command, list)
    }

    /// A list that covers `beats` beats; sometimes with a fault in it.
    fn list(&mut self, beats: u64) -> Vec<u8> {
        let mut list = Vec::new();
        let mut left = beats;
        while left > 0 && list.len() < 256 - 16 {
            let take = if list.len() == 256 - 32 {
                left
            } else {
                self.rng.gen_range(1..=left)
            };
            let (mut address, mut bytes) = (self.host_range(64 * take), 64 * take);
            match self.rng.gen_range(0..40) {
                0 => address += 8,
                1 => bytes = 0,
                2 => bytes += 32,
                3 => bytes += 64 * beats,
                _ => {}
            }
            list.extend(address.to_le_bytes());
            list.extend(bytes.to_le_bytes());
            left -= take;
        }
        list
    }

    /// The same command with one thing wrong.
    fn corrupt(&mut self, mut raw: RawCommand) -> RawCommand {
        let opcode = Opcode::from_code(raw.opcode).unwrap();
        let (addresses, length): (&[usize], Option<usize>) = match opcode {
            Opcode::MsmG1 | Opcode::MsmG2 => (&[0, 1, 3], Some(2)),
            Opcode::Ntt => (&[0, 1, 2], None),
            Opcode::Quotient => (&[0, 1, 2, 3, 5], Some(4)),
            // Its first operand is no address.
            Opcode::Fill => (&[1], Some(2)),
            _ => (&[0, 1], Some(2)),
        };
        let address = addresses[self.rng.gen_range(0..addresses.len())];
        match self.rng.gen_range(0..8) {
            0 => {
                let foreign = [0x00, 0x01, 0x02, 0x13, 0x22, 0x3f, 0x40, 0x80, 0xff];
                raw.opcode = foreign[self.rng.gen_range(0..foreign.len())];
            }
            1 => raw.reserved = 1 << self.rng.gen_range(0..16),
            // All but LINK, which chains are made of, and ODD, which is right for a transform.
            2 => raw.flags |= [0x10, 0x20, 0x80][self.rng.gen_range(0..3)],
            3 => raw.op[address] += self.rng.gen_range(1..64),
            // Card addresses only: a host address may be anything.
            4 => raw.op[*addresses.last().unwrap()] = 64 * self.rng.gen_range(MEMORY / 64..1 << 50),
            5 => raw.op[*addresses.last().unwrap()] = MEMORY - 64 * self.rng.gen_range(0..2),
            6 => match length {
                Some(at) if at == 2 && !is_msm(opcode) => {
                    raw.op[at] = [0, 1, 63, 65][self.rng.gen_range(0..4)];
                }
                Some(at) => raw.op[at] = [0, 1 << 32, u64::MAX, 1 << 31][self.rng.gen_range(0..4)],
                None => raw.log2n = self.rng.gen_range(21..=255),
            },
            _ => match opcode {
                Opcode::MsmG1 | Opcode::MsmG2 => raw.window_bits = self.rng.gen_range(14..=255),
                // Overlap.
                Opcode::Ntt => raw.op[self.rng.gen_range(0..2)] = raw.op[2],
                _ => raw.op[address] |= 32,
            },
        }
        raw
    }

    fn next(&mut self, slot: usize) -> (RawCommand, Vec<u8>) {
        let (command, list) = self.sound(slot);
        self.cid = self.cid.wrapping_add(self.rng.gen_range(1..1000));
        let mut raw = command.encode(self.cid);
        if self.rng.gen_bool(0.3) {
            raw = self.corrupt(raw);
        }
        // A batch ends with its last chain.
        let room = slot + 1 < BATCH;
        if self.has(FEATURE_LINK) && room && self.rng.gen_bool(0.3) {
            raw.flags |= FLAG_LINK;
        }
        (raw, list)
    }
}

fn is_msm(opcode: Opcode) -> bool {
    matches!(opcode, Opcode::MsmG1 | Opcode::MsmG2)
}

/// What the contract fixes of a completion.
fn comparable(raw: &RawCommand, c: &Completion) -> (u16, u16, u16, StatusCode, bool, u32, u32) {
    let success = c.status.code == StatusCode::Success;
    let timed = Opcode::from_code(raw.opcode).is_some_and(is_msm);
    let ops = if success && !timed { c.ops } else { 0 };
    let detail = if success && timed { 0 } else { c.detail };
    (
        c.cid,
        c.queue,
        c.sq_head,
        c.status.code,
        c.status.retryable,
        ops,
        detail,
    )
}

/// Whether a failed command may have written part of its destination.
fn may_have_written(c: &Completion) -> bool {
    // Data faults, bus errors, aborts; and bad list entries, where data before
    // them stays moved. What was not run has written nothing.
    (c.status.code.parts().0 >= 2 && c.status.code != StatusCode::LinkBroken)
        || matches!(
            c.status.code,
            StatusCode::InvalidLength | StatusCode::Misaligned
        )
}

/// Gives the places that a failed command may have written one content again.
fn restore(side: &Side, queue: &mut RawQueue<'_>, seed: u64) {
    let bytes = support::pattern(seed, HOST_BYTES as usize);
    side.host.memory.write(side.data, &bytes).unwrap();
    fill(side, queue, seed);
}

/// Fresh data: mostly elements of the field, and zeros as results.
fn fill(side: &Side, queue: &mut RawQueue<'_>, seed: u64) {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut image =
        vectors::scalar_images(&ScalarPattern::Witness.draw((DATA_BYTES / 32) as usize, &mut rng));
    // A few that are too large; later fills have none, so that commands run.
    for _ in 0..rng.gen_range(0..3) {
        let at = 32 * rng.gen_range(0..DATA_BYTES as usize / 32);
        image[at..at + 32].fill(0xff);
    }
    image.resize((DATA_BYTES + results_bytes()) as usize, 0);
    side.host.memory.write(side.data_end(), &image).unwrap();
    let from = side.host.address(side.data_end());
    for (card, bytes, at) in areas() {
        queue.expect(&write(0xfff1, from + at, card, bytes), StatusCode::Success);
    }
}

impl Side {
    /// Offset of the staging block behind all that streams use.
    fn data_end(&self) -> usize {
        self.host.memory.len() - (64 << 10)
    }
}

fn points<C: Curve>(seed: u64) -> Vec<u8> {
    let case = vectors::msm_case_in::<C>(
        BASES_COUNT as usize,
        BasePattern::SomeInfinity,
        ScalarPattern::Zero,
        seed,
    );
    let mut image = vectors::base_images(&case.bases);
    // In half the streams, one coordinate that is not below p.
    if seed % 4 < 2 {
        let at = C::GROUP.point_bytes() as usize * (BASES_COUNT as usize - 3);
        image[at..at + 48].fill(0xff);
    }
    image
}

/// Sums as points, and what lies behind them as bytes.
fn compare_results<C: Curve>(model: &[u8], rtl: &[u8], when: &str) {
    let (_, slot) = results(C::GROUP);
    let sum = C::GROUP.result_bytes() as usize;
    let slots = model.chunks_exact(slot as usize);
    for (i, (m, r)) in slots.zip(rtl.chunks_exact(slot as usize)).enumerate() {
        let name = format!("{when}: {:?} result {i}", C::GROUP);
        if m[..sum] != r[..sum] {
            let read = |raw: &[u8]| vectors::read_result::<C>(&raw[..sum]);
            let (m, r) = (read(m), read(r));
            assert!(m.is_some() && m == r, "{name} differs");
        }
        assert_eq!(m[sum..], r[sum..], "bytes behind {name}");
    }
}

fn compare(model: &Side, rtl: &Side, mq: &mut RawQueue<'_>, rq: &mut RawQueue<'_>, when: &str) {
    let ((m_data, m_results), (r_data, r_results)) = (model.image(mq), rtl.image(rq));
    let differs = m_data.iter().zip(&r_data).position(|(a, b)| a != b);
    assert_eq!(differs, None, "{when}: card memory differs at this byte");
    let in_g1 = (RESULT_SLOTS * results(Group::G1).1) as usize;
    compare_results::<G1Projective>(&m_results[..in_g1], &r_results[..in_g1], when);
    compare_results::<G2Projective>(&m_results[in_g1..], &r_results[in_g1..], when);
    let bytes = HOST_BYTES as usize;
    let same = model.host.bytes(model.data, bytes) == rtl.host.bytes(rtl.data, bytes);
    assert!(same, "{when}: host memory differs");
}

/// Runs one stream; the names of the statuses that it met.
fn run_stream(seed: u64, commands: usize) -> BTreeSet<&'static str> {
    let options = RtlOptions {
        host_latency: 30,
        memory_latency: 20,
        backpressure: (seed % 3 * 15) as u8,
        seed,
        ..RtlOptions::default()
    };
    let bytes = 4 << 20;
    let rtl = Side::new(RawHost::new(
        Arc::new(RtlCard::new(options).unwrap()),
        bytes,
    ));
    // A gateware without one of these is compared with a model without it.
    let features = rtl.features();
    let model = ModelOptions {
        msm_g2: features & FEATURE_MSM_G2 != 0,
        fill: features & FEATURE_FILL != 0,
        link: features & FEATURE_LINK != 0,
        ..ModelOptions::default()
    };
    let model = ModelCard::new(model).unwrap();
    let model = Side::new(RawHost::new(Arc::new(model), bytes));
    assert_eq!(model.features(), features);
    assert_eq!(model.host.iova, rtl.host.iova, "equal host addresses");
    let number = 2 - u16::from(seed.is_multiple_of(2));
    let mut mq = RawQueue::new(&model.host, number, 3);
    let mut rq = RawQueue::new(&rtl.host, number, 3);
    let points = [
        (Group::G1, points::<G1Projective>(seed)),
        (Group::G2, points::<G2Projective>(seed)),
    ];
    for (side, queue) in [(&model, &mut mq), (&rtl, &mut rq)] {
        for (group, points) in &points {
            side.host.memory.write(side.data_end(), points).unwrap();
            let from = side.host.address(side.data_end());
            let raw = write(0xfff3, from, bases(*group), points.len() as u64);
            queue.expect(&raw, StatusCode::Success);
        }
        restore(side, queue, seed);
    }
    let mut stream = Stream {
        rng: ChaCha20Rng::seed_from_u64(seed),
        features,
        host: model.host.address(model.data),
        lists: model.host.address(model.lists),
        cid: seed as u16,
    };
    let mut met = BTreeSet::new();
    let mut done = 0;
    while done < commands {
        // The model runs a batch one by one, up to what may leave memory
        // undefined; the gateware then gets all of it at once.
        let mut batch = Vec::new();
        let mut undefined = false;
        let mut linked = false;
        let size = stream.rng.gen_range(1..=BATCH);
        while linked || batch.len() < size && !undefined {
            let slot = batch.len();
            let (raw, list) = stream.next(slot);
            for side in [&model, &rtl] {
                side.host
                    .memory
                    .write(side.lists + 256 * slot, &list)
                    .unwrap();
            }
            let completion = mq.run(&raw);
            met.insert(completion.status.code.name());
            undefined |= may_have_written(&completion);
            linked = raw.flags & FLAG_LINK != 0;
            batch.push((raw, completion));
        }
        for (raw, _) in &batch {
            rq.place(raw);
        }
        rq.ring_tail(rq.tail as u32);
        for (i, (raw, expected)) in batch.iter().enumerate() {
            let got = rq.wait();
            assert_eq!(
                comparable(raw, &got),
                comparable(raw, expected),
                "seed {seed}, command {}: {raw:x?}",
                done + i
            );
        }
        done += batch.len();
        if undefined {
            restore(&model, &mut mq, seed + done as u64);
            restore(&rtl, &mut rq, seed + done as u64);
        } else if stream.rng.gen_bool(0.1) {
            let when = format!("seed {seed}, after {done} commands");
            compare(&model, &rtl, &mut mq, &mut rq, &when);
        }
    }
    compare(
        &model,
        &rtl,
        &mut mq,
        &mut rq,
        &format!("seed {seed}, at the end"),
    );
    met
}

/// Runs the streams, which together meet every status that a host can cause.
fn run_streams(seeds: [u64; 4]) {
    let met: BTreeSet<_> = seeds
        .into_iter()
        .flat_map(|seed| run_stream(seed, 200))
        .collect();
    let bus_of_the_card = [StatusCode::CardRead, StatusCode::CardWrite];
    for code in StatusCode::ALL {
        let elsewhere = bus_of_the_card.contains(code)
            || matches!(code, StatusCode::Aborted | StatusCode::Internal);
        assert!(
            elsewhere || met.contains(code.name()),
            "no {} in {met:?}",
            code.name()
        );
    }
}

#[test]
fn streams_on_queue_one() {
    run_streams([2, 4, 6, 8]);
}

#[test]
fn streams_on_queue_two() {
    run_streams([1, 3, 5, 7]);
}
