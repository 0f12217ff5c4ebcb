//! Secret files: keys of accounts, of the sequencer and of the operator. One that others can read
//! is refused, whatever it is for; one that this program writes nobody else can read.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use carillon_protocol::crypto::schnorr::SecretKey;
use zeroize::Zeroizing;

use crate::exit::Failure;

/// No secret is longer.
const LONGEST: u64 = 4096;

/// The text of a secret file; `what` is it, in the words of a message.
pub fn read(path: &Path, what: &str) -> Result<Zeroizing<String>, Failure> {
    read_text(path).map_err(|reason| fault(path, what, &reason))
}

/// The seed of a key on the rollup: 64 hex digits.
pub fn read_key(path: &Path, what: &str) -> Result<SecretKey, Failure> {
    let text = read(path, what)?;
    key(&text).map_err(|reason| fault(path, what, &reason))
}

/// A key from its seed in hex.
pub fn key(text: &str) -> Result<SecretKey, String> {
    let mut seed = Zeroizing::new([0; 32]);
    let text = text.trim();
    hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut *seed)
        .map_err(|_| "64 hex digits are expected".to_owned())?;
    Ok(SecretKey::from_seed(&seed))
}

/// Writes a new file that nobody else can read. One that exists stays as it is.
pub fn create(path: &Path, text: &str) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn fault(path: &Path, what: &str, reason: &str) -> Failure {
    Failure::input(format!("{what} {}: {reason}", path.display()))
}

fn read_text(path: &Path) -> Result<Zeroizing<String>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let facts = file.metadata().map_err(|error| error.to_string())?;
    // What is checked is the file that was opened, whatever its name says by now.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = facts.permissions().mode() & 0o777;
        if facts.is_file() && mode & 0o077 != 0 {
            return Err(format!(
                "other users can read it (mode {mode:03o}); `chmod 600` it, and change the key if they may have read it"
            ));
        }
    }
    if facts.is_dir() {
        return Err("it is a folder; name the file".into());
    }
    // Reserved at once, so that no copy stays behind where the text grew.
    let mut text = Zeroizing::new(String::with_capacity(LONGEST as usize + 1));
    file.take(LONGEST + 1)
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    if text.len() as u64 > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes: not a key"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_files_that_are_ones_own_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create(&path, &"ab".repeat(32)).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(create(&path, "another").is_err());
        read_key(&path, "the key").unwrap();
        for mode in [0o644, 0o640, 0o604, 0o660, 0o601] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = read(&path, "the key").unwrap_err().to_string();
            assert!(error.contains(&format!("mode {mode:03o}")), "{error}");
            assert!(error.contains("chmod 600"), "{error}");
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
        read_key(&path, "the key").unwrap();
        let error = read(folder.path(), "the key").unwrap_err().to_string();
        assert!(
            error.contains("mode") || error.contains("folder"),
            "{error}"
        );
        let long = folder.path().join("long");
        create(&long, &"a".repeat(5000)).unwrap();
        let error = read(&long, "the key").unwrap_err().to_string();
        assert!(error.contains("longer"), "{error}");
        let error = key("abc").err().unwrap();
        assert!(error.contains("64 hex digits"), "{error}");
    }
}
