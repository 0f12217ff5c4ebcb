//! What each command does to host and card memory, and how it ends.
//!
//! One function per command; the queue's thread (`queue.rs`) calls
//! [`execute`] and posts the [`Outcome`]. Long commands ask between pieces
//! whether they were aborted.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use blst::blst_fr;
use bytemuck::Zeroable as _;
use carillon_driver::command::{
    BEAT, Command, FR_BYTES, Group, MsmMode, NttKind, RawCommand, SGL_ENTRY_BYTES, SglEntry,
};
use carillon_driver::identity::{
    FEATURE_FILL, FEATURE_LINK, FEATURE_MSM_G2, IdentityPage, SIGNATURE, WINDOW_SIZES,
};
use carillon_driver::registers as reg;
use carillon_driver::status::StatusCode;

use super::arith::{self, BadData};
use super::counters::Counter;
use super::msm::{G1, G2, MsmSum, SumGroup};
use super::{Core, IO_QUEUES, Memory, validate::validate, windows};

/// How a command ended, as far as the model knows: it does not simulate time,
/// so cycles, bubbles and MSM additions are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub status: StatusCode,
    pub ops: u32,
    pub detail: u32,
}

impl From<StatusCode> for Outcome {
    fn from(status: StatusCode) -> Self {
        Self {
            status,
            ops: 0,
            detail: 0,
        }
    }
}

fn success(ops: u64) -> Outcome {
    let ops = u32::try_from(ops).unwrap_or(u32::MAX);
    Outcome {
        status: StatusCode::Success,
        ops,
        detail: 0,
    }
}

/// Bytes moved, and terms summed, between two looks at the abort flag.
const MOVE_PIECE: u64 = 1 << 16;
const MSM_PIECE: usize = 1 << 15;

/// One command on one queue.
pub(super) struct Job<'a> {
    pub core: &'a Core,
    pub abort: &'a AtomicBool,
    pub admin: bool,
}

/// Checks the command and runs it.
pub(super) fn execute(job: &Job<'_>, raw: &RawCommand) -> Outcome {
    let command = match validate(raw, job.admin, &job.core.options) {
        Ok(command) => command,
        Err(status) => return status.into(),
    };
    let result = match command {
        Command::Identify { page } => job.identify(page),
        Command::Abort { queue, cid } => Ok(job.abort_command(queue, cid)),
        Command::Write {
            host,
            card,
            bytes,
            list,
        } => job.transfer(host, card, bytes, list, true),
        Command::Read {
            host,
            card,
            bytes,
            list,
        } => job.transfer(host, card, bytes, list, false),
        Command::Fill { word, card, bytes } => job.fill(word, card, bytes),
        Command::Msm {
            group,
            bases,
            scalars,
            n,
            result,
            mode,
            window_bits: _,
        } => match group {
            Group::G1 => job.msm::<G1>(bases, scalars, n, result, mode),
            Group::G2 => job.msm::<G2>(bases, scalars, n, result, mode),
        },
        Command::Ntt {
            source,
            destination,
            log2n,
            kind,
            ..
        } => job.ntt(source, destination, log2n, kind),
        Command::Quotient {
            a,
            b,
            c,
            destination,
            n,
            z,
        } => job.quotient([a, b, c], destination, n, z),
        Command::Product {
            a,
            b,
            destination,
            n,
        } => job.product([a, b], destination, n),
    };
    result.unwrap_or_else(Outcome::from)
}

impl Job<'_> {
    fn go_on(&self) -> Result<(), StatusCode> {
        if self.abort.load(Ordering::Acquire) {
            Err(StatusCode::Aborted)
        } else {
            Ok(())
        }
    }

    fn count(&self, counter: Counter, n: u64) {
        self.core.counters.add(counter, n);
    }

    /// Counts card memory that was read, in beats; each operand once, where
    /// the gateware may read it again for every pass.
    fn count_card_read(&self, bytes: u64) {
        self.count(Counter::CardRead, bytes.next_multiple_of(BEAT));
    }

    /// A copy of card memory.
    fn card_read(&self, address: u64, bytes: u64) -> Result<Vec<u8>, StatusCode> {
        let copy = self.card_copy(address, bytes)?;
        self.count_card_read(bytes);
        Ok(copy)
    }

    /// Card memory into `out`.
    fn card_read_into(&self, address: u64, out: &mut [u8]) -> Result<(), StatusCode> {
        let memory = self
            .core
            .memory
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if memory.faulty(address, out.len() as u64, false) {
            return Err(StatusCode::CardRead);
        }
        let slice = memory
            .card
            .slice(address, out.len())
            .map_err(|_| StatusCode::CardRead)?;
        out.copy_from_slice(slice);
        drop(memory);
        self.count_card_read(out.len() as u64);
        Ok(())
    }

    /// The same as a copy, not yet counted.
    fn card_copy(&self, address: u64, bytes: u64) -> Result<Vec<u8>, StatusCode> {
        let memory = self
            .core
            .memory
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if memory.faulty(address, bytes, false) {
            return Err(StatusCode::CardRead);
        }
        let slice = memory
            .card
            .slice(address, bytes as usize)
            .map_err(|_| StatusCode::CardRead)?;
        Ok(slice.to_vec())
    }

    fn card_write(&self, address: u64, data: &[u8]) -> Result<(), StatusCode> {
        let mut memory = self
            .core
            .memory
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if memory.faulty(address, data.len() as u64, true) {
            return Err(StatusCode::CardWrite);
        }
        let slice = memory
            .card
            .slice_mut(address, data.len())
            .map_err(|_| StatusCode::CardWrite)?;
        slice.copy_from_slice(data);
        self.count(Counter::CardWritten, data.len() as u64);
        Ok(())
    }

    /// Writes results, with zeros up to the end of the last beat.
    fn card_write_padded(&self, address: u64, mut data: Vec<u8>) -> Result<(), StatusCode> {
        data.resize(data.len().next_multiple_of(BEAT as usize), 0);
        self.card_write(address, &data)
    }

    fn host_read(&self, address: u64, out: &mut [u8]) -> Result<(), StatusCode> {
        self.core
            .dma
            .read(address, out)
            .map_err(|_| StatusCode::HostRead)?;
        self.count(Counter::HostRead, out.len() as u64);
        Ok(())
    }

    fn host_write(&self, address: u64, data: &[u8]) -> Result<(), StatusCode> {
        self.core
            .dma
            .write(address, data)
            .map_err(|_| StatusCode::HostWrite)?;
        self.count(Counter::HostWritten, data.len() as u64);
        Ok(())
    }

    fn identify(&self, page: u64) -> Result<Outcome, StatusCode> {
        let o = &self.core.options;
        let choices = |group| windows::choices(group, o.msm_max_window_bits);
        let [split_windows, full_windows] = choices(Group::G1);
        let (in_g2, [g2_split_windows, g2_full_windows]) = match o.msm_g2 {
            true => (FEATURE_MSM_G2, choices(Group::G2)),
            false => (0, [[0; WINDOW_SIZES]; 2]),
        };
        let feature = |has: bool, bit: u8| if has { bit } else { 0 };
        let features = in_g2 | feature(o.fill, FEATURE_FILL) | feature(o.link, FEATURE_LINK);
        let identity = IdentityPage {
            signature: SIGNATURE,
            version: reg::version::RESET,
            configuration: o.configuration,
            rdl_hash: o.rdl_hash,
            memory_bytes: o.memory_bytes,
            io_queues: IO_QUEUES,
            max_log2_depth: o.max_log2_depth,
            msm_max_window_bits: o.msm_max_window_bits,
            msm_windows: o.msm_windows,
            msm_adders: o.msm_adders,
            ntt_max_log2n: o.ntt_max_log2n,
            ntt_butterflies: o.ntt_butterflies,
            features,
            split_windows,
            full_windows,
            g2_split_windows,
            g2_full_windows,
            ..IdentityPage::zeroed()
        };
        self.host_write(page, identity.as_bytes())?;
        Ok(success(0))
    }

    fn abort_command(&self, queue: u16, cid: u16) -> Outcome {
        let found = self.core.abort(queue, cid);
        Outcome {
            status: StatusCode::Success,
            ops: 0,
            detail: found.into(),
        }
    }

    fn transfer(
        &self,
        host: u64,
        card: u64,
        bytes: u64,
        list: bool,
        write: bool,
    ) -> Result<Outcome, StatusCode> {
        if !list {
            self.segment(host, card, bytes, write)?;
            return Ok(success(bytes / BEAT));
        }
        let (mut entry_at, mut card_at, mut left) = (host, card, bytes);
        let mut beat = [0; BEAT as usize];
        while left > 0 {
            // The card reads the list beat by beat.
            let within = (entry_at % BEAT) as usize;
            if within == 0 {
                self.host_read(entry_at, &mut beat)?;
            }
            let entry = beat
                .get(within..within + SGL_ENTRY_BYTES)
                .unwrap_or(&[0; SGL_ENTRY_BYTES]);
            let SglEntry {
                address,
                bytes: length,
            } = bytemuck::pod_read_unaligned(entry);
            if length == 0 || length % BEAT != 0 || length > left {
                return Err(StatusCode::InvalidLength);
            }
            if address % BEAT != 0 {
                return Err(StatusCode::Misaligned);
            }
            self.segment(address, card_at, length, write)?;
            card_at += length;
            left -= length;
            entry_at = entry_at.wrapping_add(SGL_ENTRY_BYTES as u64);
        }
        Ok(success(bytes / BEAT))
    }

    /// Moves a piece between the memories in one copy; `None` when it must go
    /// through a buffer. What fails is found in the same order either way.
    fn move_directly(
        &self,
        host: u64,
        card: u64,
        bytes: u64,
        write: bool,
    ) -> Option<Result<(), StatusCode>> {
        let (host_error, card_error) = if write {
            (StatusCode::HostRead, StatusCode::CardWrite)
        } else {
            (StatusCode::HostWrite, StatusCode::CardRead)
        };
        let len = bytes as usize;
        let sound = |memory: &Memory| {
            !memory.faulty(card, bytes, write) && memory.card.slice(card, len).is_ok()
        };
        let read = || {
            self.core
                .memory
                .read()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if !write && !sound(&read()) {
            return Some(Err(card_error));
        }
        let mut moved = Ok(());
        // The table of mappings is locked before card memory, always.
        let done = self.core.dma.direct(host, len, !write, |host, at, range| {
            let (address, part) = (card + range.start as u64, range.len());
            moved = if write {
                let mut memory = self
                    .core
                    .memory
                    .write()
                    .unwrap_or_else(PoisonError::into_inner);
                let faulty = !sound(&memory);
                match memory.card.slice_mut(address, part) {
                    Ok(slice) if !faulty => host.read(at, slice).map_err(|_| host_error),
                    _ => Err(card_error),
                }
            } else {
                match read().card.slice(address, part) {
                    Ok(slice) => host.write(at, slice).map_err(|_| host_error),
                    Err(_) => Err(card_error),
                }
            };
            moved.ok()
        })?;
        if done.is_err() && moved.is_ok() {
            moved = Err(host_error);
        }
        // What was read before a write failed was read all the same.
        if write && moved != Err(host_error) {
            self.count(Counter::HostRead, bytes);
        } else if !write {
            self.count_card_read(bytes);
        }
        if moved.is_ok() {
            let written = if write {
                Counter::CardWritten
            } else {
                Counter::HostWritten
            };
            self.count(written, bytes);
        }
        Some(moved)
    }

    fn segment(&self, host: u64, card: u64, bytes: u64, write: bool) -> Result<(), StatusCode> {
        // One piece's worth, for when the data must be seen on the way: neither
        // memory is locked while a fault looks at it.
        let mut between = Vec::new();
        let mut done = 0;
        while done < bytes {
            self.go_on()?;
            let piece = (bytes - done).min(MOVE_PIECE);
            let at = host.wrapping_add(done);
            if let Some(moved) = self.move_directly(at, card + done, piece, write) {
                moved?;
                done += piece;
                continue;
            }
            between.resize(bytes.min(MOVE_PIECE) as usize, 0);
            let data = &mut between[..piece as usize];
            if write {
                self.host_read(at, data)?;
                self.card_write(card + done, data)?;
            } else {
                self.card_read_into(card + done, data)?;
                self.host_write(at, data)?;
            }
            done += piece;
        }
        Ok(())
    }

    fn fill(&self, word: u64, card: u64, bytes: u64) -> Result<Outcome, StatusCode> {
        let piece = word
            .to_le_bytes()
            .repeat((bytes.min(MOVE_PIECE) / 8) as usize);
        let mut done = 0;
        while done < bytes {
            self.go_on()?;
            let now = (bytes - done).min(MOVE_PIECE);
            self.card_write(card + done, &piece[..now as usize])?;
            done += now;
        }
        Ok(success(bytes / BEAT))
    }

    fn msm<G: SumGroup>(
        &self,
        bases: u64,
        scalars: u64,
        n: u64,
        result: u64,
        mode: MsmMode,
    ) -> Result<Outcome, StatusCode> {
        let point_bytes = G::GROUP.point_bytes();
        let points = self.card_copy(bases, n * point_bytes)?;
        let scalars = self.card_copy(scalars, n * FR_BYTES)?;
        match arith::check_msm(G::GROUP, &points, &scalars) {
            Ok(()) => {}
            Err(BadData::Scalar(i)) => return Ok(bad(StatusCode::BadScalar, i)),
            Err(BadData::Point(i)) => return Ok(bad(StatusCode::BadPoint, i)),
        }
        let mut sum = MsmSum::<G>::new(mode);
        let pieces = points
            .chunks(MSM_PIECE * point_bytes as usize)
            .zip(scalars.chunks(MSM_PIECE * FR_BYTES as usize));
        for (points, scalars) in pieces {
            self.go_on()?;
            sum.add(points, scalars);
            // Counted piece by piece: the progress that the driver sees.
            self.count_card_read((points.len() + scalars.len()) as u64);
        }
        self.card_write(result, &sum.result())?;
        Ok(success(0))
    }

    fn elements(&self, address: u64, n: u64) -> Result<Vec<blst_fr>, StatusCode> {
        let images = self.card_read(address, n * FR_BYTES)?;
        arith::scalars(&images).map_err(|_| StatusCode::BadScalar)
    }

    fn ntt(
        &self,
        source: u64,
        destination: u64,
        log2n: u8,
        kind: NttKind,
    ) -> Result<Outcome, StatusCode> {
        let mut values = self.elements(source, 1 << log2n)?;
        let mut butterflies = 0;
        let whole = arith::ntt(&mut values, log2n, kind, |n| {
            butterflies += n;
            self.count(Counter::Butterflies, n);
            self.go_on().is_ok()
        });
        if !whole {
            return Err(StatusCode::Aborted);
        }
        self.card_write_padded(destination, arith::images(&values))?;
        Ok(success(butterflies))
    }

    fn quotient(
        &self,
        [a, b, c]: [u64; 3],
        destination: u64,
        n: u64,
        z: u64,
    ) -> Result<Outcome, StatusCode> {
        // Bus errors come before data, so all is read before anything is judged.
        let z = self.card_read(z, FR_BYTES)?;
        let [a, b, c] = [a, b, c].map(|address| self.card_read(address, n * FR_BYTES));
        let (a, b, c) = (a?, b?, c?);
        self.go_on()?;
        let decode = |images: &[u8]| arith::scalars(images).map_err(|_| StatusCode::BadScalar);
        let (z, a, b, c) = (decode(&z)?, decode(&a)?, decode(&b)?, decode(&c)?);
        let z = z.first().copied().ok_or(StatusCode::Internal)?;
        self.card_write_padded(destination, arith::images(&arith::quotient(&a, &b, &c, z)))?;
        Ok(success(n))
    }

    fn product(&self, factors: [u64; 2], destination: u64, n: u64) -> Result<Outcome, StatusCode> {
        let [a, b] = factors.map(|address| self.card_read(address, n * FR_BYTES));
        let (a, b) = (a?, b?);
        self.go_on()?;
        let decode = |images: &[u8]| arith::scalars(images).map_err(|_| StatusCode::BadScalar);
        let (a, b) = (decode(&a)?, decode(&b)?);
        self.card_write_padded(destination, arith::images(&arith::product(&a, &b)))?;
        Ok(success(n))
    }
}

fn bad(status: StatusCode, index: u64) -> Outcome {
    Outcome {
        status,
        ops: 0,
        detail: u32::try_from(index).unwrap_or(u32::MAX),
    }
}
