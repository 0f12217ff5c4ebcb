//! Configuration files. Options and environment variables win over them.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::{Failure, read_small};

/// Reads the file given, or the user's own (`name` in Carillon's folder below `$XDG_CONFIG_HOME`)
/// if there is one; else nothing is configured.
pub fn read_config<T>(given: Option<&Path>, name: &str) -> Result<T, Failure>
where
    T: DeserializeOwned + Default,
{
    let default = user_folder("XDG_CONFIG_HOME", ".config")
        .map(|folder| folder.join(name))
        .filter(|path| path.exists());
    let Some(path) = given.or(default.as_deref()) else {
        return Ok(T::default());
    };
    let fault =
        |reason: String| Failure::Input(format!("configuration file {}: {reason}", path.display()));
    let text = String::from_utf8(read_small(path)?).map_err(|error| fault(error.to_string()))?;
    toml::from_str(&text).map_err(|error| fault(error.to_string()))
}

/// Carillon's folder below one of the user's base folders (XDG Base Directory Specification).
pub fn user_folder(variable: &str, below_home: &str) -> Option<PathBuf> {
    let base = std::env::var_os(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(below_home)))?;
    Some(base.join("carillon"))
}
