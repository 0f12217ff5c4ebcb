//! Pools over a transport that only maps.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::broadcast;

use super::*;
use crate::claim::{Claim, ClaimSlot};
use crate::memory::HostMemory;
use crate::transport::{InterruptLine, TransportEvent};

/// Maps, and nothing else.
#[derive(Debug, Default)]
struct Maps {
    mapped: AtomicUsize,
    made: AtomicUsize,
    stuck: AtomicBool,
    claims: ClaimSlot,
}

impl Transport for Maps {
    fn describe(&self) -> String {
        "maps".into()
    }
    fn read32(&self, _: u32) -> u32 {
        u32::MAX
    }
    fn write32(&self, _: u32, _: u32) {}
    fn map(&self, memory: Arc<HostMemory>, _: Direction) -> Result<u64, TransportError> {
        assert!(memory.len() as u64 <= 1 << 32);
        self.mapped.fetch_add(1, Ordering::Relaxed);
        Ok((self.made.fetch_add(1, Ordering::Relaxed) as u64 + 1) << 32)
    }
    fn unmap(&self, iova: u64) -> Result<(), TransportError> {
        if self.stuck.load(Ordering::Relaxed) {
            return Err(TransportError::NotMapped { iova });
        }
        self.mapped.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }
    fn interrupt(&self, vector: u16) -> Result<Arc<InterruptLine>, TransportError> {
        Err(TransportError::Vector { vector, count: 0 })
    }
    fn reset(&self) -> Result<(), TransportError> {
        Ok(())
    }
    fn claim(&self) -> Result<Claim, TransportError> {
        Ok(self.claims.take("maps")?)
    }
    fn events(&self) -> broadcast::Receiver<TransportEvent> {
        broadcast::channel(1).1
    }
}

fn pool(limit: u64) -> (Arc<Maps>, DmaPool) {
    let maps = Arc::new(Maps::default());
    let pool = DmaPool::new(Arc::clone(&maps) as _, Direction::ToDevice, limit);
    (maps, pool)
}

#[test]
fn buffers_are_apart_aligned_and_never_show_what_was_there_before() {
    let (maps, pool) = pool(1 << 30);
    let mut held: Vec<HostBuf> = (1..60).map(|n| pool.allocate(n * 37).unwrap()).collect();
    for (i, buffer) in held.iter_mut().enumerate() {
        assert_eq!((buffer.iova() % 64, buffer.padded_len() % 64), (0, 0));
        assert!(buffer.iter().all(|&b| b == 0));
        buffer.fill(i as u8 + 1);
    }
    for (i, buffer) in held.iter().enumerate() {
        assert!(buffer.iter().all(|&b| b == i as u8 + 1), "buffers overlap");
    }
    let seen = held[7].iova();
    held.clear();
    let again: Vec<HostBuf> = (1..60).map(|n| pool.allocate(n * 37).unwrap()).collect();
    assert_eq!(again[7].iova(), seen, "memory is used again");
    assert!(again.iter().all(|b| b.iter().all(|&b| b == 0)));
    assert_eq!(maps.mapped.load(Ordering::Relaxed), 1, "one large mapping");
    drop((again, pool));
    assert_eq!(maps.mapped.load(Ordering::Relaxed), 0);
}

#[test]
fn limits_are_kept_and_large_buffers_have_their_own_mapping() {
    let (maps, pool) = pool(3 * CHUNK as u64);
    let small = pool.allocate(1).unwrap();
    let large = pool.allocate(2 * CHUNK).unwrap();
    assert_eq!(
        (large.len(), maps.mapped.load(Ordering::Relaxed)),
        (2 * CHUNK, 2)
    );
    assert!(matches!(
        pool.allocate(2 * CHUNK),
        Err(DmaError::Exhausted { .. })
    ));
    assert!(matches!(
        pool.allocate(usize::MAX),
        Err(DmaError::Size { .. })
    ));
    drop(large);
    assert!(pool.allocate(2 * CHUNK).is_ok());
    // Detached, buffers are the CPU's alone and nothing is mapped;
    // attached again, the same buffers have other addresses.
    let before = small.iova();
    assert!(pool.detach());
    assert_eq!(maps.mapped.load(Ordering::Relaxed), 0);
    let new = pool.allocate(2 * CHUNK).unwrap();
    assert_eq!(maps.mapped.load(Ordering::Relaxed), 0);
    assert!(small[..] == [0] && new[2 * CHUNK - 1] == 0);
    pool.attach().unwrap();
    assert_eq!(maps.mapped.load(Ordering::Relaxed), 2);
    assert!(small.iova() != before && new.iova() != small.iova());
    drop(small);
}

#[test]
fn a_filled_buffer_shows_nothing_of_what_was_there_before() {
    let (_, pool) = pool(1 << 30);
    pool.allocate(128).unwrap().fill(0xee);
    let filled = pool.allocate_filled(&[7; 65]).unwrap();
    assert_eq!((filled[..].len(), filled.padded_len()), (65, 128));
    assert!(filled.iter().all(|&b| b == 7));
    let (memory, at) = filled.shared();
    let mut padding = [1; 63];
    memory.read(at + 65, &mut padding).unwrap();
    assert_eq!(padding, [0; 63]);
    drop(filled);
    assert!(pool.allocate(300).unwrap().iter().all(|&b| b == 0));
}

#[test]
fn the_ledger_knows_every_byte_by_its_address() {
    let (_, pool) = pool(1 << 30);
    let (a, b) = (pool.allocate(100).unwrap(), pool.allocate(64).unwrap());
    let range = |buf: &HostBuf| buf.iova()..buf.iova() + buf.padded_len() as u64;
    assert_eq!(pool.owner(range(&a)), Owner::Cpu);
    a.set_owner(Owner::Card);
    assert_eq!(pool.owner(range(&a)), Owner::Card);
    assert_eq!(pool.owner(a.iova()..b.iova() + 1), Owner::Cpu);
    b.set_owner(Owner::Quarantine);
    assert_eq!(
        (pool.usage().lent, pool.usage().quarantined),
        (128, 64),
        "padding included"
    );
    assert_eq!(pool.owner(0..64), Owner::Nobody);
    assert_eq!(pool.owner(range(&b).end - 1..u64::MAX), Owner::Nobody);
    // Without a mapping the card owns nothing, whatever was lent.
    let (at, mapped) = (range(&a), pool.usage().mapped);
    assert!(mapped >= CHUNK as u64 && pool.detach());
    assert_eq!(pool.owner(at), Owner::Nobody);
    a.set_owner(Owner::Card);
    assert_eq!(pool.usage(), MemoryUse::default());
    pool.attach().unwrap();
    assert_eq!(pool.owner(range(&a)), Owner::Cpu);
    assert_eq!(pool.usage().mapped, mapped);
}

#[test]
fn what_cannot_be_unmapped_is_left_to_the_next_holder() {
    let (maps, _) = pool(1);
    let claim = maps.claim().unwrap();
    let transport = Arc::clone(&maps) as Arc<dyn Transport>;
    let pool = DmaPool::with_leftovers(transport, Direction::ToDevice, 1 << 30, claim.leftovers());
    let buffer = pool.allocate(64).unwrap();
    let at = buffer.iova();
    maps.stuck.store(true, Ordering::Relaxed);
    buffer.set_owner(Owner::Quarantine);
    assert!(!pool.detach());
    assert_eq!(pool.usage().quarantined, 64);
    drop((pool, buffer));
    assert_eq!(claim.leftovers().take(), [at]);
}

#[test]
fn what_is_dropped_is_overwritten() {
    let (_, pool) = pool(1 << 30);
    for bytes in [1, 100, 4096, 1 << 20] {
        let mut buffer = pool.allocate(bytes).unwrap();
        buffer.fill(0xee);
        let (memory, at) = buffer.shared();
        let memory = Arc::clone(memory);
        drop(buffer);
        let mut left = vec![1; bytes];
        memory.read(at, &mut left).unwrap();
        assert!(left.iter().all(|&b| b == 0), "{bytes}");
    }
}

#[test]
fn a_buffer_that_is_split_is_two() {
    let (_, pool) = pool(CHUNK as u64);
    let mut first = pool.allocate(200).unwrap();
    first.fill(1);
    for wrong in [0, 32, 192 + 64, 200, usize::MAX] {
        assert!(first.split_off(wrong).is_none(), "{wrong}");
    }
    assert_eq!((first.len(), first.padded_len()), (200, 256));
    let mut second = first.split_off(128).unwrap();
    assert_eq!((first.len(), first.padded_len()), (128, 128));
    assert_eq!((second.len(), second.padded_len()), (72, 128));
    assert_eq!(second.iova(), first.iova() + 128);
    second.fill(2);
    assert!(first.iter().all(|&b| b == 1) && second.iter().all(|&b| b == 2));
    // Each is lent, wiped and given back by itself.
    second.set_owner(Owner::Card);
    assert_eq!(pool.usage().lent, 128);
    let (memory, at) = first.shared();
    let memory = Arc::clone(memory);
    drop(first);
    let mut left = [9; 200];
    memory.read(at, &mut left).unwrap();
    assert!(left[..128].iter().all(|&b| b == 0) && left[128..].iter().all(|&b| b == 2));
    assert_eq!(pool.usage().lent, 128);
    drop(second);
    assert_eq!(pool.usage().lent, 0);
    assert_eq!(pool.allocate(CHUNK).unwrap().len(), CHUNK, "all is free");
}

#[test]
fn unused_chunks_give_way_and_go_back_to_the_system() {
    let (maps, small) = pool(2 * CHUNK as u64);
    let both = [
        small.allocate(CHUNK).unwrap(),
        small.allocate(CHUNK).unwrap(),
    ];
    assert!(small.allocate(64).is_err());
    drop(both);
    let whole = small.allocate(2 * CHUNK).unwrap();
    assert_eq!(
        maps.mapped.load(Ordering::Relaxed),
        1,
        "two were given back for one"
    );
    drop((whole, small));
    assert_eq!(maps.mapped.load(Ordering::Relaxed), 0);

    let (maps, large) = pool(1 << 30);
    let many: Vec<_> = (0..KEPT as usize / CHUNK + 3)
        .map(|_| large.allocate(CHUNK).unwrap())
        .collect();
    assert_eq!(maps.mapped.load(Ordering::Relaxed), many.len());
    drop(many);
    assert!(large.usage().mapped <= KEPT);
    assert_eq!(maps.mapped.load(Ordering::Relaxed), KEPT as usize / CHUNK);
    // A chunk that cannot be unmapped stays in the pool.
    maps.stuck.store(true, Ordering::Relaxed);
    let many: Vec<_> = (0..KEPT as usize / CHUNK + 1)
        .map(|_| large.allocate(CHUNK).unwrap())
        .collect();
    drop(many);
    assert!(large.usage().mapped > KEPT);
    maps.stuck.store(false, Ordering::Relaxed);
}

#[tokio::test]
async fn who_waits_gets_what_comes_back() {
    use std::time::Duration;
    let (_, pool) = pool(CHUNK as u64);
    let held = pool.allocate(CHUNK).unwrap();
    let asked = CHUNK / 4;
    let waiters: Vec<_> = (0..4)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.allocate_in_turn(asked).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert!(waiters.iter().all(|waiter| !waiter.is_finished()));
    drop(held);
    for waiter in waiters {
        let buffer = tokio::time::timeout(Duration::from_secs(60), waiter).await;
        assert_eq!(buffer.unwrap().unwrap().unwrap().len(), asked);
    }
    let held = pool.allocate(CHUNK).unwrap();
    // More than might ever come together is refused at once.
    let refused = pool.allocate_in_turn(asked + 1).await;
    assert!(matches!(refused, Err(DmaError::Exhausted { .. })));
    // Somebody who has given up costs nothing.
    let waiting = pool.allocate_in_turn(asked);
    let given_up = tokio::time::timeout(Duration::from_millis(5), waiting).await;
    assert!(given_up.is_err());
    drop(held);
    assert!(pool.allocate(CHUNK).is_ok());
}
