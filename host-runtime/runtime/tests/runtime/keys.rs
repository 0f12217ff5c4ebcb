//! Key files: a round trip, and every way in which a file can be wrong.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use blstrs::G2Projective;
use carillon_runtime::cpu::CpuEngine;
use carillon_runtime::groth16::{
    CircuitDigest, HBasis, ProvingKey, circuit_digest, prove, setup, setup_in, synthesize,
};
use carillon_runtime::keys::{KeyError, load, load_for, save};
use carillon_runtime::{Engine, EngineKind, engine};
use carillon_workload::SquareChain;
use carillon_workload::vectors::{self, ScalarPattern};

use super::common::rng;

struct Saved {
    _folder: tempfile::TempDir,
    path: PathBuf,
    key: ProvingKey,
}

fn saved(change: impl FnOnce(&mut ProvingKey)) -> Saved {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain.key");
    let mut key = setup(SquareChain::blank(4), &mut rng(4)).unwrap();
    change(&mut key);
    save(&path, &key).unwrap();
    Saved {
        _folder: folder,
        path,
        key,
    }
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_saved_key_proves_as_before() {
    proves_as_before(&saved(|_| ())).await;
}

/// Files of version 1, whose H query is in powers of tau.
#[tokio::test]
async fn a_key_of_the_first_version_proves_as_before() {
    let of_version_1 = saved(|key| {
        *key = setup_in(HBasis::Powers, SquareChain::blank(4), &mut rng(4)).unwrap();
    });
    assert_eq!(fs::read(&of_version_1.path).unwrap()[8..12], [1, 0, 0, 0]);
    proves_as_before(&of_version_1).await;
}

async fn proves_as_before(Saved { path, key, .. }: &Saved) {
    let loaded = load(path).unwrap();
    assert_eq!(loaded.vk, key.vk);
    assert_eq!(
        (loaded.shape, loaded.circuit, loaded.origin, loaded.basis),
        (key.shape, key.circuit, key.origin, key.basis)
    );
    assert_eq!(loaded.a[..], key.a[..]);
    assert_eq!(loaded.b1[..], key.b1[..]);
    assert_eq!(loaded.b2[..], key.b2[..]);
    assert_eq!(loaded.l[..], key.l[..]);
    assert_eq!(loaded.h[..], key.h[..]);
    assert_eq!(
        loaded.a.as_ptr().addr() % 4096,
        0,
        "sections are page-aligned"
    );
    prove(
        &CpuEngine::new(),
        &Arc::new(loaded),
        SquareChain::with_witness(4, 1),
        &(),
    )
    .await
    .unwrap();
    // Saving again replaces the file and leaves no temporary one.
    save(path, key).unwrap();
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn every_length_short_of_the_whole_is_refused() {
    let saved = saved(|_| ());
    let whole = fs::read(&saved.path).unwrap();
    for length in [4096, 4097, whole.len() / 2, whole.len() - 1] {
        fs::write(&saved.path, &whole[..length]).unwrap();
        match load(&saved.path).unwrap_err() {
            KeyError::Truncated {
                found, expected, ..
            } => {
                assert_eq!((found, expected), (length as u64, whole.len() as u64));
            }
            other => panic!("{other}"),
        }
    }
    for length in [7, 100, 1000, 4095] {
        fs::write(&saved.path, &whole[..length]).unwrap();
        let error = load(&saved.path).unwrap_err();
        assert!(
            matches!(&error, KeyError::HeaderCutOff { found, .. } if *found == length as u64),
            "{error}"
        );
        let text = error.to_string();
        assert!(
            text.contains("is cut off") && text.contains("4096"),
            "{text}"
        );
    }
    // Too little of it to know.
    for length in [0, 6] {
        fs::write(&saved.path, &whole[..length]).unwrap();
        assert!(matches!(load(&saved.path), Err(KeyError::NotAKey { .. })));
    }
}

#[test]
fn a_flipped_bit_is_found_in_every_section() {
    let pristine = saved(|_| ());
    let whole = fs::read(&pristine.path).unwrap();
    // Section n starts at the offset that the header lists at 72 + 48 n.
    for (index, name) in ["vk", "a", "b1", "b2", "l", "h"].into_iter().enumerate() {
        let entry = 72 + 48 * index;
        let offset = u64::from_le_bytes(whole[entry..entry + 8].try_into().unwrap()) as usize;
        fs::write(&pristine.path, &whole).unwrap();
        flip(&pristine.path, offset + 200);
        match load(&pristine.path).unwrap_err() {
            KeyError::Corrupt { section, .. } => assert_eq!(section, name),
            other => panic!("{other}"),
        }
    }
    fs::write(&pristine.path, &whole).unwrap();
    flip(&pristine.path, 50);
    assert!(matches!(load(&pristine.path), Err(KeyError::Header { .. })));
    fs::write(&pristine.path, &whole).unwrap();
    flip(&pristine.path, 8);
    assert!(matches!(
        load(&pristine.path),
        Err(KeyError::Version { found: 3, .. })
    ));
    fs::write(&pristine.path, &whole).unwrap();
    flip(&pristine.path, 0);
    assert!(matches!(
        load(&pristine.path),
        Err(KeyError::NotAKey { .. })
    ));
}

#[test]
fn a_point_off_the_curve_is_named() {
    let saved = saved(|key| {
        let mut points = key.l.to_vec();
        points[5] = blstrs::G1Affine::from_raw_unchecked(points[5].x(), points[6].y(), false);
        key.l = points.into();
    });
    let error = load(&saved.path).unwrap_err();
    assert!(
        matches!(error, KeyError::Point { section: "l", .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("point 5 is not on the curve"),
        "{error}"
    );
}

/// Such a key is of no use, but a card must come to the same sums with it as the CPU: it may not
/// take the short way that its own keys allow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_finds_points_outside_the_subgroup_in_a_key_file() {
    let saved = saved(|key| {
        assert!(key.a.bases().in_subgroup());
        let mut points = key.a.to_vec();
        points[5] = vectors::msm_case_outside(1, ScalarPattern::One, 1).bases[0];
        key.a = points.into();
        assert!(key.b2.bases().in_subgroup());
        let mut points = key.b2.to_vec();
        let outside = vectors::msm_case_outside_in::<G2Projective>(1, ScalarPattern::One, 1);
        points[6] = outside.bases[0];
        key.b2 = points.into();
    });
    let key = Arc::new(load(&saved.path).unwrap());
    let inside = [&key.a, &key.b1, &key.l, &key.h].map(|query| query.bases().in_subgroup());
    assert_eq!(inside, [false, true, true, true]);
    assert!(!key.b2.bases().in_subgroup());
    let assignment = Arc::new(synthesize(SquareChain::with_witness(4, 1)).unwrap());
    let cpu = CpuEngine::new();
    let (expected, _) = cpu.groth16(&key, &assignment, &()).await.unwrap();
    let card = engine::open(EngineKind::SimModel).await.unwrap();
    let (found, _) = card.groth16(&key, &assignment, &()).await.unwrap();
    assert_eq!(found, expected);
}

#[test]
fn the_key_of_another_circuit_is_refused() {
    let saved = saved(|_| ());
    let right = circuit_digest(SquareChain::blank(4)).unwrap();
    assert_eq!(load_for(&saved.path, &right).unwrap().circuit, right);
    let wrong = circuit_digest(SquareChain::blank(5)).unwrap();
    match load_for(&saved.path, &wrong).unwrap_err() {
        KeyError::WrongCircuit {
            expected, found, ..
        } => {
            assert_eq!((expected, found), (wrong, right));
        }
        other => panic!("{other}"),
    }
    assert_ne!(wrong, CircuitDigest([0; 32]));
}

/// A mapped file that is cut short ends the process with a bus error, at a moment of its choice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_outlives_its_file() {
    let Saved { path, key, .. } = &saved(|_| ());
    let loaded = Arc::new(load(path).unwrap());
    let first = loaded.a[1];
    // In place, as a careless copy over it does.
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(0).unwrap();
    file.set_len(1 << 20).unwrap();
    assert_eq!((loaded.a[1], loaded.h[..].len()), (first, key.h.len()));
    let circuit = SquareChain::with_witness(4, 1);
    prove(&CpuEngine::new(), &loaded, circuit, &())
        .await
        .unwrap();
    assert!(matches!(load(path), Err(KeyError::NotAKey { .. })));
}

/// The length is looked at first and the bytes are read later: whatever happens in between is an
/// error with a name.
#[test]
fn a_file_that_shrinks_while_it_is_read_is_an_error() {
    let saved = saved(|_| ());
    let whole = fs::read(&saved.path).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let file = fs::OpenOptions::new()
                .write(true)
                .open(&saved.path)
                .unwrap();
            while !stop.load(Ordering::Relaxed) {
                file.set_len(whole.len() as u64 / 2).unwrap();
                file.write_all_at(&whole, 0).unwrap();
            }
        });
        for _ in 0..200 {
            match load(&saved.path) {
                Ok(_) | Err(KeyError::Truncated { .. } | KeyError::Corrupt { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}

/// Keys are replaced by renaming: the file whose circuit was looked at is the one that is read.
#[test]
fn a_key_that_is_renamed_over_is_never_taken_for_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let digests = [2, 3].map(|log2| {
        let key = setup(SquareChain::blank(log2), &mut rng(u64::from(log2))).unwrap();
        save(&folder.path().join(log2.to_string()), &key).unwrap();
        key.circuit
    });
    fs::hard_link(folder.path().join("2"), &path).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let next = folder.path().join("next");
            for name in ["3", "2"].into_iter().cycle() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                fs::hard_link(folder.path().join(name), &next).unwrap();
                fs::rename(&next, &path).unwrap();
                // The other name of one file stays where it is.
                let _ = fs::remove_file(&next);
            }
        });
        let (mut right, mut wrong) = (0, 0);
        while right < 300 || wrong < 300 {
            match load_for(&path, &digests[0]) {
                Ok(key) => {
                    assert_eq!(key.circuit, digests[0]);
                    right += 1;
                }
                Err(KeyError::WrongCircuit { .. }) => wrong += 1,
                Err(other) => panic!("{other}"),
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn paths_that_do_not_work_are_clear() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    assert!(matches!(load(&missing), Err(KeyError::Open { .. })));
    assert!(matches!(load(folder.path()), Err(KeyError::NotAKey { .. })));
    let key = setup(SquareChain::blank(2), &mut rng(2)).unwrap();
    let error = save(&missing.join("key"), &key).unwrap_err();
    assert!(matches!(error, KeyError::Write { .. }), "{error}");
}
