//! Who a bearer token belongs to.
//!
//! Tokens come from a file, one `name token` a line; `#` begins a comment. Only their SHA-256 is
//! kept in memory. A token that is shown is hashed and compared with every entry in constant time,
//! so that neither its bytes nor its place in the file can be learnt from how long a refusal takes.
//! Called by `http`.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The least length of a token, in characters.
const LEAST: usize = 16;

/// Why tokens could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The file cannot be read.
    #[error("cannot read the token file {}: {source}; name another with {option}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The option that names it.
        option: &'static str,
        /// The reason of the operating system.
        source: std::io::Error,
    },
    /// Others may read the file.
    #[error(
        "the token file {} can be read by other users (mode {mode:03o}); `chmod 600` it and change the tokens",
        .path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A line is not `name token`.
    #[error("line {line} of the token file {}: {reason}", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong and what is expected.
        reason: String,
    },
    /// The file names nobody.
    #[error("the token file {} names no prover; add a line `name token`", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// Names and the hashes of their tokens.
#[derive(Clone)]
pub struct Tokens {
    entries: Vec<(String, [u8; 32])>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.entries.iter().map(|(name, _)| name);
        f.debug_set().entries(names).finish()
    }
}

impl Tokens {
    /// Reads a token file of a node, which `--prover-tokens` names.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let entries = read_lines(path, "--prover-tokens")?
            .into_iter()
            .map(|(name, token)| (name, hash(&token)))
            .collect();
        Ok(Self { entries })
    }

    /// The name that a token belongs to.
    pub fn name(&self, token: &str) -> Option<&str> {
        let given = hash(token);
        let mut found = None;
        for (name, known) in &self.entries {
            // Every entry is compared to its end, whatever came before.
            let difference = known
                .iter()
                .zip(&given)
                .fold(0, |sum, (a, b)| sum | (a ^ b));
            if std::hint::black_box(difference) == 0 {
                found = Some(name.as_str());
            }
        }
        found
    }

    /// The first token of a file, in plain: what a prover shows. `--token-file` names it.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn own(path: &Path) -> Result<String, TokenError> {
        let first = read_lines(path, "--token-file")?.into_iter().next();
        first.map(|(_, token)| token).ok_or(TokenError::Empty {
            path: path.to_owned(),
        })
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

fn read_lines(path: &Path, option: &'static str) -> Result<Vec<(String, String)>, TokenError> {
    let fault = |source| TokenError::Read {
        path: path.to_owned(),
        option,
        source,
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path).map_err(fault)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(TokenError::Exposed {
                path: path.to_owned(),
                mode,
            });
        }
    }
    let text = std::fs::read_to_string(path).map_err(fault)?;
    let mut entries: Vec<(String, String)> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let refuse = |reason: String| TokenError::Line {
            path: path.to_owned(),
            line: at + 1,
            reason,
        };
        let line = line.split('#').next().unwrap_or_default();
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [] => {}
            [name, token] => {
                if token.len() < LEAST {
                    let reason =
                        format!("a token has at least {LEAST} characters; draw a random one");
                    return Err(refuse(reason));
                }
                if entries.iter().any(|(_, other)| other == token) {
                    return Err(refuse("this token belongs to another name already".into()));
                }
                entries.push((name.to_owned(), token.to_owned()));
            }
            _ => {
                return Err(refuse(
                    "expected a name and a token, and nothing else".into(),
                ));
            }
        }
    }
    if entries.is_empty() {
        return Err(TokenError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    #[test]
    fn names_are_found_by_whole_tokens_only() {
        let text = "# who may prove\neast 0123456789abcdef0 # rack 4\n\nwest abcdef0123456789a\n";
        let (_folder, path) = file(text, 0o600);
        let tokens = Tokens::read(&path).unwrap();
        assert_eq!(tokens.name("0123456789abcdef0"), Some("east"));
        assert_eq!(tokens.name("abcdef0123456789a"), Some("west"));
        for wrong in ["", "0123456789abcdef", "0123456789abcdef01", "east"] {
            assert_eq!(tokens.name(wrong), None);
        }
        assert_eq!(Tokens::own(&path).unwrap(), "0123456789abcdef0");
        assert!(!format!("{tokens:?}").contains("0123"));
    }

    #[test]
    fn bad_files_are_refused_with_their_reason() {
        for (text, mode, reason) in [
            ("east 0123456789abcdef", 0o644, "chmod 600"),
            ("east short", 0o600, "at least 16"),
            ("east", 0o600, "line 1"),
            (
                "a 0123456789abcdef\nb 0123456789abcdef",
                0o600,
                "another name",
            ),
            ("# nobody", 0o600, "names no prover"),
        ] {
            let (_folder, path) = file(text, mode);
            let error = Tokens::read(&path).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        let missing = Path::new("no/such/file");
        for (error, option) in [
            (Tokens::read(missing).unwrap_err(), "--prover-tokens"),
            (Tokens::own(missing).unwrap_err(), "--token-file"),
        ] {
            let error = error.to_string();
            assert!(error.contains("no/such/file"), "{error}");
            assert!(error.ends_with(option), "{error}");
        }
    }
}
