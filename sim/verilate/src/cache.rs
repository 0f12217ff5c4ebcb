//! Keeps object files between runs of a build script. Verilator is quick and deterministic, the C++
//! compiler is not quick: when one block changes, the models without it need not be compiled again.

use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use crate::Error;

/// The objects of `compilers`, compiled only if `files` (all that they read of this model) or the
/// commands differ from what `stamp` recorded, or an object is gone.
pub(crate) fn objects(
    stamp: &Path,
    files: &[PathBuf],
    compilers: &[cc::Build],
) -> Result<Vec<PathBuf>, Error> {
    let key = key(files, compilers)?;
    if let Some(objects) = recorded(stamp, &key) {
        return Ok(objects);
    }
    // A failed compilation must not leave a stamp that matches.
    if stamp.exists() {
        std::fs::remove_file(stamp).map_err(Error::io("removing", stamp))?;
    }
    let mut objects = Vec::new();
    for compiler in compilers {
        objects.extend(compiler.try_compile_intermediates()?);
    }
    let mut record = key;
    for object in &objects {
        record.push('\n');
        record.push_str(&object.to_string_lossy());
    }
    std::fs::write(stamp, record).map_err(Error::io("writing", stamp))?;
    Ok(objects)
}

/// The C++ sources and headers in `folder`, sorted.
pub(crate) fn cpp_files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io("listing", folder))? {
        let path = entry.map_err(Error::io("listing", folder))?.path();
        let extension = path.extension().and_then(OsStr::to_str);
        if matches!(extension, Some("cpp" | "h")) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// A digest of the files' names (without their folders) and contents.
pub(crate) fn digest(files: &[PathBuf]) -> Result<u64, Error> {
    let mut hasher = DefaultHasher::new();
    for file in files {
        file.file_name().hash(&mut hasher);
        std::fs::read(file)
            .map_err(Error::io("reading", file))?
            .hash(&mut hasher);
    }
    Ok(hasher.finish())
}

/// A digest of the files and of the compilers and their arguments.
fn key(files: &[PathBuf], compilers: &[cc::Build]) -> Result<String, Error> {
    let mut hasher = DefaultHasher::new();
    digest(files)?.hash(&mut hasher);
    for compiler in compilers {
        // Not the whole command: it carries the environment, which differs from run to run.
        let compiler = compiler.try_get_compiler()?;
        compiler.path().hash(&mut hasher);
        compiler.args().hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// The objects that `stamp` lists, if it carries `key` and they all exist.
fn recorded(stamp: &Path, key: &str) -> Option<Vec<PathBuf>> {
    let record = std::fs::read_to_string(stamp).ok()?;
    let mut lines = record.lines();
    if lines.next()? != key {
        return None;
    }
    let objects: Vec<_> = lines.map(PathBuf::from).collect();
    objects
        .iter()
        .all(|object| object.is_file())
        .then_some(objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_used_only_with_its_key_and_all_objects() {
        let folder = std::env::temp_dir().join(format!("carillon-cache-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (stamp, object) = (folder.join("a.stamp"), folder.join("a.o"));
        assert_eq!(recorded(&stamp, "1"), None);
        std::fs::write(&stamp, format!("1\n{}", object.display())).unwrap();
        assert_eq!(recorded(&stamp, "1"), None, "the object is missing");
        std::fs::write(&object, "").unwrap();
        assert_eq!(recorded(&stamp, "1"), Some(vec![object]));
        assert_eq!(recorded(&stamp, "2"), None, "another key");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
