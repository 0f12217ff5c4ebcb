//! Puts the many small C++ files of a model together into few that the compiler reads.
//!
//! The headers of Verilator's run-time take the compiler 1.8 s a file; a model without arithmetic has eight files and no
//! other second of work. Verilator's own `verilator_includer` joins files in the same way, so their names do not clash.
//! What is left of the headers' time a precompiled header saves, where the compiler takes it.

use std::path::{Path, PathBuf};

use crate::Error;

/// What every translated file includes.
const HEADER: &str = "#include \"verilated.h\"\n#include \"verilated_dpi.h\"\n";
const HEADER_NAME: &str = "runtime.h";

/// What a bundle holds at most, unless one file holds more: so that two processors share a large model.
const BYTES: u64 = 1 << 20;

/// Writes the header that bundles in `folder` begin with, and has `compiler` compile it. GCC finds the result
/// beside it and takes it if it was compiled with the same options; other compilers read the header.
pub(crate) fn precompile(folder: &Path, compiler: &cc::Build) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(Error::io("creating", folder))?;
    let header = folder.join(HEADER_NAME);
    let compiled = folder.join(format!("{HEADER_NAME}.gch"));
    std::fs::write(&header, HEADER).map_err(Error::io("writing", &header))?;
    let compiler = compiler.try_get_compiler()?;
    if !compiler.is_like_gnu() {
        return Ok(());
    }
    // Each time anew: GCC does not see that a header in it is another now.
    let mut command = compiler.to_command();
    command
        .args(["-x", "c++-header", "-o"])
        .arg(&compiled)
        .arg(&header);
    // Without it the bundles compile all the same, only slower.
    if !command.status().is_ok_and(|status| status.success()) {
        println!("cargo::warning=the run-time's headers could not be precompiled");
    }
    Ok(())
}

/// Writes `<folder>/<name>-<number>.cpp` files, which include `sources` in their order, and returns their paths.
/// The folder is one that [`precompile`] has seen.
pub(crate) fn write(
    folder: &Path,
    name: &str,
    sources: &[&PathBuf],
) -> Result<Vec<PathBuf>, Error> {
    let mut sized = Vec::new();
    for source in sources {
        let metadata = std::fs::metadata(source).map_err(Error::io("reading", source))?;
        sized.push((*source, metadata.len()));
    }
    let mut paths = Vec::new();
    for (number, bundle) in divide(&sized, BYTES).into_iter().enumerate() {
        let path = folder.join(format!("{name}-{number}.cpp"));
        let include = |source: &PathBuf| format!("#include \"{}\"\n", source.display());
        let mut text = format!("#include \"{HEADER_NAME}\"\n");
        text.extend(bundle.into_iter().map(include));
        std::fs::write(&path, text).map_err(Error::io("writing", &path))?;
        paths.push(path);
    }
    Ok(paths)
}

/// `sized` in its order, cut where a piece would exceed `most` bytes.
fn divide<T: Copy>(sized: &[(T, u64)], most: u64) -> Vec<Vec<T>> {
    let mut pieces: Vec<Vec<T>> = Vec::new();
    let mut filled = 0;
    for (item, size) in sized {
        match pieces.last_mut() {
            Some(piece) if filled + size <= most => piece.push(*item),
            _ => {
                pieces.push(vec![*item]);
                filled = 0;
            }
        }
        filled += size;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_keep_the_order_and_stay_below_the_limit() {
        let sized = [('a', 4), ('b', 6), ('c', 1), ('d', 30), ('e', 2), ('f', 8)];
        let expected = [vec!['a', 'b'], vec!['c'], vec!['d'], vec!['e', 'f']];
        assert_eq!(divide(&sized, 10), expected);
        assert!(divide::<u8>(&[], 10).is_empty());
    }
}
