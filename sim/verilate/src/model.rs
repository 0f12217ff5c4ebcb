//! One design to translate: top module, files, options.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{Error, Toolchain, cache, ports};

/// A top module and what Verilator needs to translate it into the C++ class `prefix`.
#[derive(Clone, Debug)]
pub struct Model {
    prefix: String,
    top: String,
    arguments: Vec<OsString>,
    hierarchical: bool,
    trace: bool,
    expose_ports: bool,
}

/// The translated model: folders of C++ and the files that they came from.
pub(crate) struct Translated {
    /// The model itself, with its header.
    pub(crate) folder: PathBuf,
    /// One folder for each hierarchical block that no earlier model has.
    pub(crate) new_blocks: Vec<PathBuf>,
    /// Every source file and file list that was read.
    pub(crate) inputs: BTreeSet<PathBuf>,
}

/// The hierarchical blocks of a library so far, by class name.
pub(crate) type Blocks = BTreeMap<PathBuf, Block>;

/// A translated hierarchical block.
pub(crate) struct Block {
    /// Of its C++.
    digest: u64,
    /// The SystemVerilog module that stands for it in the models around it.
    wrapper: PathBuf,
}

/// The part that is used of the build description which `--make json` writes.
#[derive(Deserialize)]
struct Description {
    #[serde(default)]
    submodules: Vec<Step>,
}

/// One more run of Verilator: a hierarchical block, or the top, which comes last.
#[derive(Deserialize)]
struct Step {
    top: String,
    directory: PathBuf,
    sources: Vec<PathBuf>,
    verilator_args: PathBuf,
}

impl Model {
    /// Module `top` as the C++ class `prefix` (header `<prefix>.h`).
    #[must_use]
    pub fn new(prefix: impl Into<String>, top: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
            top: top.into(),
            arguments: Vec::new(),
            hierarchical: false,
            trace: false,
            expose_ports: false,
        }
    }

    /// Adds a file list; paths in it are relative to the list itself.
    #[must_use]
    pub fn file_list(self, path: impl AsRef<Path>) -> Self {
        self.argument("-F").argument(path.as_ref())
    }

    /// Adds a source file, after those added before.
    #[must_use]
    pub fn file(self, path: impl AsRef<Path>) -> Self {
        self.argument(path.as_ref())
    }

    /// Adds a folder in which include files are searched.
    #[must_use]
    pub fn include_dir(self, path: impl AsRef<Path>) -> Self {
        let mut argument = OsString::from("+incdir+");
        argument.push(path.as_ref());
        self.argument(argument)
    }

    /// Defines a preprocessor macro.
    #[must_use]
    pub fn define(self, name: &str, value: &str) -> Self {
        self.argument(format!("-D{name}={value}"))
    }

    /// Overrides a parameter of the top module.
    #[must_use]
    pub fn parameter(self, name: &str, value: &str) -> Self {
        self.argument(format!("-G{name}={value}"))
    }

    /// Translates modules marked `/*verilator hier_block*/` on their own (see the crate's page).
    #[must_use]
    pub fn hierarchical(mut self) -> Self {
        self.hierarchical = true;
        self
    }

    /// Builds the model with VCD tracing; costs speed even while no trace is open.
    #[must_use]
    pub fn trace(mut self) -> Self {
        self.trace = true;
        self
    }

    /// Generates C functions that create, evaluate and describe the model: `<prefix>_create`,
    /// `_destroy`, `_eval` and `_port` (their C declarations stand in the source, `ports.rs`).
    #[must_use]
    pub fn expose_ports(mut self) -> Self {
        self.expose_ports = true;
        self
    }

    /// Adds any other Verilator argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub(crate) fn has_trace(&self) -> bool {
        self.trace
    }

    /// Runs Verilator; the result lies in `<out_dir>/<prefix>`, which is emptied first so that no
    /// file of an earlier run is compiled.
    pub(crate) fn translate(
        &self,
        toolchain: &Toolchain,
        out_dir: &Path,
        blocks: &mut Blocks,
    ) -> Result<Translated, Error> {
        let folder = out_dir.join(&self.prefix);
        if folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(Error::io("emptying", &folder))?;
        }
        std::fs::create_dir_all(&folder).map_err(Error::io("creating", &folder))?;

        // What is wider than a coordinate (12 words of 32 bits) stays a call of the run-time's inline functions. Written
        // out word by word, beats and products compile much longer and run little faster (decision 64).
        let mut arguments: Vec<OsString> = [
            "--cc",
            "-O3",
            "--expand-limit",
            "12",
            "--x-assign",
            "fast",
            "--x-initial",
            "fast",
            "--assert",
            "--output-split",
            "20000",
            "--make",
            "json",
            "--prefix",
            &self.prefix,
            "--top-module",
            &self.top,
        ]
        .into_iter()
        .map(OsString::from)
        .collect();
        if self.trace {
            arguments.push("--trace-vcd".into());
        }
        if self.hierarchical {
            arguments.push("--hierarchical".into());
        }
        arguments.push("-Mdir".into());
        arguments.push(folder.clone().into());
        arguments.extend(self.arguments.iter().cloned());
        toolchain.run(&self.top, &arguments)?;

        let inputs = self.inputs(&folder)?;
        let mut new_blocks = Vec::new();
        let mut wrappers = BTreeMap::new();
        // In hierarchical mode that run only wrote an argument file for each block, in dependency
        // order, the top last.
        for step in self.description(&folder)?.submodules {
            let mut arguments: Vec<OsString> = vec![
                "-f".into(),
                step.verilator_args.clone().into(),
                "-Mdir".into(),
                step.directory.clone().into(),
            ];
            let is_top = step.directory == folder;
            // A block's argument file says what it is called, the top's does not.
            if is_top {
                for argument in ["--prefix", &self.prefix, "--top-module", &self.top] {
                    arguments.push(argument.into());
                }
            }
            for source in &step.sources {
                arguments.push(wrappers.get(source).unwrap_or(source).into());
            }
            std::fs::create_dir_all(&step.directory)
                .map_err(Error::io("creating", &step.directory))?;
            toolchain.run(&self.top, &arguments)?;
            if !is_top && let Some(wrapper) = step.known_wrapper(blocks)? {
                wrappers.insert(step.wrapper(), wrapper);
            } else if !is_top {
                new_blocks.push(step.directory);
            }
        }
        if self.expose_ports {
            let header = folder.join(format!("{}.h", self.prefix));
            let text = std::fs::read_to_string(&header).map_err(Error::io("reading", &header))?;
            let shim = folder.join(format!("{}_ports.cpp", self.prefix));
            std::fs::write(&shim, ports::shim(&self.prefix, &text))
                .map_err(Error::io("writing", &shim))?;
        }
        Ok(Translated {
            folder,
            new_blocks,
            inputs,
        })
    }

    fn description(&self, folder: &Path) -> Result<Description, Error> {
        let path = folder.join(format!("{}.json", self.prefix));
        let text = std::fs::read_to_string(&path).map_err(Error::io("reading", &path))?;
        serde_json::from_str(&text).map_err(|source| Error::Description { path, source })
    }

    /// The files that Verilator read, from its make-style dependency file.
    fn inputs(&self, folder: &Path) -> Result<BTreeSet<PathBuf>, Error> {
        let path = folder.join(format!("{}__ver.d", self.prefix));
        let text = std::fs::read_to_string(&path).map_err(Error::io("reading", &path))?;
        Ok(dependencies(&text)
            .filter(|input| !input.starts_with(folder))
            .collect())
    }
}

impl Step {
    /// The module that stands for this block in the models around it.
    fn wrapper(&self) -> PathBuf {
        self.directory.join(format!("{}.sv", self.top))
    }

    /// The wrapper of the same block in an earlier model; if there is none, the block becomes known.
    ///
    /// Wrapper and implementation carry a number that depends on the whole list of sources and is
    /// compared at run time. It does not make two blocks different, but they have to be used in pairs.
    fn known_wrapper(&self, blocks: &mut Blocks) -> Result<Option<PathBuf>, Error> {
        let name = self
            .directory
            .file_name()
            .map(PathBuf::from)
            .unwrap_or_default();
        let numbered = self.directory.join(format!("{}.cpp", self.top));
        let mut files = cache::cpp_files(&self.directory)?;
        files.retain(|file| *file != numbered);
        let digest = cache::digest(&files)?;
        match blocks.get(&name) {
            Some(block) if block.digest == digest => Ok(Some(block.wrapper.clone())),
            Some(_) => Err(Error::BlocksDiffer {
                block: name.display().to_string(),
            }),
            None => {
                let wrapper = self.wrapper();
                blocks.insert(name, Block { digest, wrapper });
                Ok(None)
            }
        }
    }
}

/// The prerequisites of a dependency file's rules (`targets : prerequisites`).
fn dependencies(text: &str) -> impl Iterator<Item = PathBuf> {
    text.lines()
        .filter_map(|line| line.split_once(" : "))
        .flat_map(|(_, prerequisites)| prerequisites.split_whitespace())
        .map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependency_files_give_their_prerequisites() {
        let text = "o/V.cpp o/V.mk  : /bin/v /a/b.sv c.f \n\n/a/b.sv:\n";
        let found: Vec<_> = dependencies(text).collect();
        assert_eq!(
            found,
            ["/bin/v", "/a/b.sv", "c.f"].map(PathBuf::from).to_vec()
        );
    }

    #[test]
    fn build_descriptions_without_blocks_are_read() {
        let plain: Description = serde_json::from_str(r#"{"version": 1, "options": {}}"#).unwrap();
        assert!(plain.submodules.is_empty());
    }
}
