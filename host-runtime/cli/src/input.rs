//! Small files that a command reads: never more of them than they may have, since a device has no end.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::Failure;

/// Bytes that a small file has at most.
const MOST: u64 = 1 << 20;

/// Reads a small file as a whole.
///
/// # Errors
/// [`Failure::reading`]; [`Failure::Input`] when it has more than 1 MiB.
pub fn read_small(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MOST + 1).read_to_end(&mut bytes))
        .map_err(|error| Failure::reading(path, &error))?;
    if bytes.len() as u64 > MOST {
        return Err(Failure::Input(format!(
            "{} has more than {MOST} bytes, so it is another file than is meant here: correct the path",
            path.display()
        )));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_up_to_their_limit_and_devices_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for (bytes, fits) in [(0, true), (MOST, true), (MOST + 1, false)] {
            std::fs::write(&path, vec![1; bytes as usize]).unwrap();
            let read = read_small(&path).map(|read| read.len() as u64);
            assert_eq!(read.ok(), fits.then_some(bytes));
        }
        let refused = read_small(Path::new("/dev/zero")).unwrap_err().to_string();
        assert!(refused.contains("/dev/zero has more than"), "{refused}");
    }
}
