//! Copies at every alignment, bounds, sharing.

use super::*;

#[test]
fn bytes_and_words_agree_at_every_alignment() {
    let memory = HostMemory::allocate(100).unwrap();
    assert_eq!(memory.len(), PAGE);
    for start in 0..9 {
        for len in 0..40 {
            let data: Vec<u8> = (0..len).map(|i| (start * 41 + i) as u8).collect();
            memory.write(start, &data).unwrap();
            let mut back = vec![0xee; len];
            memory.read(start, &mut back).unwrap();
            assert_eq!(back, data);
        }
    }
    // Long ones, too, whose bulk goes another way.
    for start in [0, 1, 7, 8, 63] {
        for len in [511, 512, 513, 575, 1000, 4000] {
            let data: Vec<u8> = (0..len).map(|i| (start * 3 + i * 7) as u8).collect();
            memory.write(0, &[0xee; PAGE]).unwrap();
            memory.write(start, &data).unwrap();
            let mut back = vec![0; PAGE];
            memory.read(0, &mut back).unwrap();
            assert!(back[start..start + len] == data, "{start}, {len}");
            assert!(back[..start].iter().all(|&b| b == 0xee));
            assert!(back[start + len..].iter().all(|&b| b == 0xee));
            let mut part = vec![0; len];
            memory.read(start, &mut part).unwrap();
            assert!(part == data, "{start}, {len}");
        }
    }
    memory
        .store(64, 0x0102_0304_0506_0708, Ordering::Release)
        .unwrap();
    let mut bytes = [0; 8];
    memory.read(64, &mut bytes).unwrap();
    assert_eq!(bytes, [8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(
        memory.load(64, Ordering::Acquire).unwrap(),
        0x0102_0304_0506_0708
    );
}

#[test]
fn memory_of_another_process_is_the_same_memory() {
    let ours = HostMemory::allocate(2 * PAGE).unwrap();
    let theirs = HostMemory::import(ours.fd().try_clone_to_owned().unwrap()).unwrap();
    ours.write(PAGE, b"shared").unwrap();
    let mut got = [0; 6];
    theirs.read(PAGE, &mut got).unwrap();
    assert_eq!((&got, theirs.len()), (b"shared", 2 * PAGE));
    let plain = rustix::fs::memfd_create(c"plain", MemfdFlags::CLOEXEC).unwrap();
    assert!(matches!(
        HostMemory::import(plain),
        Err(MemoryError::Unsealed { .. })
    ));
}

#[test]
fn nothing_reaches_beyond_the_end() {
    let memory = HostMemory::allocate(PAGE).unwrap();
    assert!(matches!(
        memory.write(PAGE - 3, &[0; 4]),
        Err(MemoryError::Range { .. })
    ));
    assert!(matches!(
        memory.read(usize::MAX, &mut [0; 2]),
        Err(MemoryError::Range { .. })
    ));
    assert!(matches!(
        memory.load(PAGE - 4, Ordering::Acquire),
        Err(MemoryError::Range { .. })
    ));
    assert!(matches!(
        memory.load(4, Ordering::Relaxed),
        Err(MemoryError::Range { .. })
    ));
    assert!(matches!(
        HostMemory::allocate(0),
        Err(MemoryError::Size { .. })
    ));
    assert!(matches!(
        HostMemory::allocate(usize::MAX),
        Err(MemoryError::Size { .. })
    ));
}

#[test]
fn large_blocks_fall_back_when_there_are_no_huge_pages() {
    let memory = HostMemory::allocate(HUGE_PAGE + 1).unwrap();
    assert!(memory.len() > HUGE_PAGE);
    memory.write(HUGE_PAGE, b"end").unwrap();
}
