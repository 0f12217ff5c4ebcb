//! Level 2: DMA both ways on every queue, scatter/gather lists, interrupts.

use std::time::{Duration, Instant};

use carillon_driver::transport::InterruptLine;
use carillon_driver::{CardRegion, HostBuf, IoQueue};

use super::{Checked, Subject, Wrong, first_difference, pattern, size, wrong};

/// Sizes of plain transfers: a beat, a page, pages and a bit, and a megabyte.
const SIZES: [usize; 5] = [64, 4096, 4096 + 192, 65536, 1 << 20];
/// Pieces of a list: uneven, so that beats and pages are crossed.
const PIECES: [usize; 6] = [64, 4096, 192, 8192 + 64, 128, 65536];
/// Commands of the interrupt check.
const ROUNDS: u64 = 64;
/// How long an interrupt may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Sends `data` to the start of `region`.
pub async fn send(
    subject: &Subject,
    queue: &IoQueue,
    data: &[u8],
    region: &CardRegion,
) -> Result<(), Wrong> {
    let mut buffer = subject.card().buffer_to_card(data.len())?;
    buffer.copy_from_slice(data);
    queue.write(buffer, region).await.ok()?;
    Ok(())
}

/// Brings back the first `bytes` bytes of `region`.
pub async fn fetch(
    subject: &Subject,
    queue: &IoQueue,
    region: &CardRegion,
    bytes: usize,
) -> Result<HostBuf, Wrong> {
    let buffer = subject.card().buffer_from_card(bytes)?;
    let (_, buffer) = queue.read(region, buffer).await.ok()?;
    Ok(buffer)
}

/// Compares what came back.
pub fn same(expected: &[u8], found: &[u8], what: &str) -> Result<(), Wrong> {
    match first_difference(expected, found) {
        None => Ok(()),
        Some(at) => Err(wrong(format!(
            "{what}: byte {at} of {} is {:#04x} instead of {:#04x}",
            expected.len(),
            found[at],
            expected[at]
        ))),
    }
}

/// Every size, on every queue.
pub async fn plain(subject: &Subject) -> Checked {
    let mut moved = 0;
    for queue in subject.card().queues() {
        for bytes in SIZES {
            let region = subject.card().allocate(bytes as u64)?;
            let data = pattern(region.address() ^ u64::from(queue.number()) << 56, bytes);
            send(subject, queue, &data, &region).await?;
            let back = fetch(subject, queue, &region, bytes).await?;
            let what = format!("queue {}, {}", queue.number(), size(bytes as u64));
            same(&data, &back, &what)?;
            moved += 2 * bytes as u64;
        }
    }
    let queues = subject.card().queues().len();
    Ok(format!("{queues} queues, {} moved", size(moved)))
}

/// Lists of uneven pieces, against plain transfers of the other direction, on every queue.
pub async fn lists(subject: &Subject) -> Checked {
    let card = subject.card();
    let total: usize = PIECES.iter().sum();
    for queue in card.queues() {
        let region = card.allocate(total as u64)?;
        let data = pattern(0x1157 + u64::from(queue.number()), total);
        let mut pieces = Vec::new();
        let mut rest = &*data;
        for bytes in PIECES {
            let (piece, more) = rest.split_at(bytes);
            let mut buffer = card.buffer_to_card(bytes)?;
            buffer.copy_from_slice(piece);
            pieces.push(buffer);
            rest = more;
        }
        queue.submit_write_list(pieces, &region).await.await.ok()?;
        let back = fetch(subject, queue, &region, total).await?;
        same(
            &data,
            &back,
            &format!("queue {}, list to the card", queue.number()),
        )?;

        let other = pattern(0x2157 + u64::from(queue.number()), total);
        send(subject, queue, &other, &region).await?;
        let into = PIECES.map(|bytes| card.buffer_from_card(bytes));
        let into = into.into_iter().collect::<Result<Vec<_>, _>>()?;
        let (_, pieces) = queue.submit_read_list(&region, into).await.await.ok()?;
        let back: Vec<u8> = pieces
            .iter()
            .flat_map(|piece| piece.iter().copied())
            .collect();
        same(
            &other,
            &back,
            &format!("queue {}, list from the card", queue.number()),
        )?;
    }
    Ok(format!(
        "{} pieces, {} a list, both ways",
        PIECES.len(),
        size(total as u64)
    ))
}

/// Many transfers on all queues without waiting in between; none may touch another's memory.
pub async fn together(subject: &Subject) -> Checked {
    const BYTES: usize = 16384;
    const DEPTH: usize = 16;
    let card = subject.card();
    let mut jobs = Vec::new();
    for turn in 0..DEPTH {
        for queue in card.queues() {
            let region = card.allocate(BYTES as u64)?;
            let data = pattern((turn as u64) << 32 | region.address(), BYTES);
            let mut buffer = card.buffer_to_card(BYTES)?;
            buffer.copy_from_slice(&data);
            let write = queue.submit_write(buffer, &region).await;
            let into = card.buffer_from_card(BYTES)?;
            // In order behind the write, on the same queue.
            let read = queue.submit_read(&region, into).await;
            jobs.push((queue.number(), data, region, write, read));
        }
    }
    let count = jobs.len();
    for (queue, data, _region, write, read) in jobs {
        write.await.ok()?;
        let (_, back) = read.await.ok()?;
        same(&data, &back, &format!("queue {queue} beside the others"))?;
    }
    Ok(format!("{} commands under way together", 2 * count))
}

/// Each command on each queue raises the queue's interrupt.
pub async fn interrupts(subject: &Subject) -> Checked {
    let card = subject.card();
    for queue in card.queues() {
        let vector = queue.number();
        let line = subject
            .transport
            .interrupt(vector)
            .map_err(|error| wrong(error.to_string()))?;
        let region = card.allocate(64)?;
        for round in 0..ROUNDS {
            let before = line.count();
            let buffer = card.buffer_to_card(64)?;
            queue.write(buffer, &region).await.ok()?;
            // The driver may have seen the completion before the interrupt came.
            if !comes(&line, before).await {
                return Err(wrong(format!(
                    "vector {vector} did not fire for command {round} within {PATIENCE:?}"
                )));
            }
        }
    }
    Ok(format!(
        "{} vectors, {ROUNDS} commands each",
        card.queues().len()
    ))
}

/// Whether an interrupt beyond `before` comes in time. Looks instead of waiting: the line has one
/// waiter, the driver.
async fn comes(line: &InterruptLine, before: u64) -> bool {
    let start = Instant::now();
    loop {
        let late = start.elapsed() >= PATIENCE;
        if line.count() > before {
            return true;
        }
        if late {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
