//! The folder `/proc`: which processes hold a device file open.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Processes, by default at `/proc`.
#[derive(Clone, Debug)]
pub struct Procfs {
    root: PathBuf,
}

/// A process that holds a file open.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// Process id.
    pub pid: u32,
    /// Its name; empty if it has just ended.
    pub command: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.command.as_str() {
            "" => write!(f, "process {}", self.pid),
            command => write!(f, "process {} ({command})", self.pid),
        }
    }
}

impl Default for Procfs {
    fn default() -> Self {
        Self::at("/proc")
    }
}

impl Procfs {
    /// A tree that looks like `/proc`.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// A path below the root.
    pub fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.root.join(below)
    }

    /// Processes that hold `file` open, by process id. Without root only the
    /// user's own processes can be looked into, so none found proves nothing.
    pub fn holders(&self, file: &Path) -> Vec<Holder> {
        let Ok(processes) = fs::read_dir(&self.root) else {
            return Vec::new();
        };
        let mut holders: Vec<_> = processes
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let pid = entry.file_name().to_str()?.parse().ok()?;
                holds(&entry.path(), file).then(|| Holder {
                    pid,
                    command: fs::read_to_string(entry.path().join("comm"))
                        .map(|name| name.trim().to_owned())
                        .unwrap_or_default(),
                })
            })
            .collect();
        holders.sort();
        holders
    }
}

/// Processes come and go: what cannot be read holds nothing.
fn holds(process: &Path, file: &Path) -> bool {
    let Ok(open) = fs::read_dir(process.join("fd")) else {
        return false;
    };
    open.filter_map(Result::ok)
        .any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found_by_a_file_that_it_holds() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let holders = Procfs::default().holders(file.path());
        assert_eq!(holders.len(), 1, "{holders:?}");
        assert_eq!(holders[0].pid, std::process::id());
        assert!(holders[0].to_string().contains(&holders[0].command));
        let path = file.into_temp_path();
        assert_eq!(Procfs::default().holders(&path), []);
        assert_eq!(Procfs::at("/nowhere").holders(&path), []);
    }
}
