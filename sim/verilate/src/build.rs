//! Compiles translated models, shims and Verilator's run-time into one static library.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::model::Blocks;
use crate::{Error, Model, Toolchain, bundle, cache};

/// Run-time sources that every model needs (`verilated_dpi.cpp` serves designs with DPI imports).
const RUNTIME: [&str; 3] = [
    "verilated.cpp",
    "verilated_threads.cpp",
    "verilated_dpi.cpp",
];
const RUNTIME_TRACE: &str = "verilated_vcd_c.cpp";
/// Set to 0, nothing is translated or compiled: for checks of the Rust code (clippy), whose build scripts have folders
/// of their own and would compile every model a second time. What is linked then lacks its models.
const VERILATE: &str = "CARILLON_VERILATE";

/// Folders of what runs in every cycle and of what runs once.
struct Bundles {
    often: PathBuf,
    once: PathBuf,
}

impl Bundles {
    fn new(out_dir: &Path) -> Self {
        Self {
            often: out_dir.join("often"),
            once: out_dir.join("once"),
        }
    }
}

/// One static library of models and shims. Use one per package: it carries Verilator's run-time.
#[derive(Debug)]
pub struct Build {
    toolchain: Toolchain,
    name: String,
    models: Vec<Model>,
    sources: Vec<PathBuf>,
    include_dirs: Vec<PathBuf>,
    opt_level: u32,
}

impl Build {
    /// A library called `lib<name>.a`.
    #[must_use]
    pub fn new(toolchain: Toolchain, name: impl Into<String>) -> Self {
        Self {
            toolchain,
            name: name.into(),
            models: Vec::new(),
            sources: Vec::new(),
            include_dirs: Vec::new(),
            opt_level: opt_level(),
        }
    }

    /// Adds a Verilated model.
    #[must_use]
    pub fn model(mut self, model: Model) -> Self {
        self.models.push(model);
        self
    }

    /// Adds a C++ source (a shim or DPI functions). It may include every model's header, and headers
    /// from its own folder; a change in that folder rebuilds the library.
    #[must_use]
    pub fn source(mut self, path: impl Into<PathBuf>) -> Self {
        self.sources.push(path.into());
        self
    }

    /// Adds a folder in which the shims' headers are searched.
    #[must_use]
    pub fn include_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.include_dirs.push(path.into());
        self
    }

    /// Translates, compiles and tells Cargo what to link and when to rebuild.
    ///
    /// # Errors
    /// [`Error::Verilation`] with Verilator's own message, [`Error::Compile`], or a file error.
    pub fn compile(self) -> Result<(), Error> {
        println!("cargo::rerun-if-env-changed={VERILATE}");
        if std::env::var_os(VERILATE).is_some_and(|value| value == "0") {
            return Ok(());
        }
        let out_dir = std::env::var_os("OUT_DIR")
            .map(PathBuf::from)
            .ok_or(Error::NoOutDir)?;
        let trace = self.models.iter().any(Model::has_trace);

        let bundles = Bundles::new(&out_dir);
        bundle::precompile(&bundles.often, &self.compiler(trace, self.opt_level))?;
        bundle::precompile(&bundles.once, &self.compiler(trace, 0))?;

        let mut objects = Vec::new();
        let mut headers = Vec::new();
        let mut blocks = Blocks::new();
        for model in &self.models {
            let translated = model.translate(&self.toolchain, &out_dir, &mut blocks)?;
            for input in &translated.inputs {
                rerun_if_changed(input);
            }
            for folder in translated.new_blocks.iter().chain([&translated.folder]) {
                objects.extend(self.compile_folder(&out_dir, &bundles, folder, trace)?);
            }
            headers.push(translated.folder);
        }
        objects.extend(self.compile_runtime(&out_dir, trace)?);
        objects.extend(self.compile_sources(&headers, trace)?);

        let mut library = cc::Build::new();
        library.cpp(true).objects(objects).try_compile(&self.name)?;
        for system in ["pthread", "atomic"] {
            println!("cargo::rustc-link-lib={system}");
        }
        Ok(())
    }

    /// Verilated C++ of one folder, in bundles. Files that run once (`__Slow`) are not optimised:
    /// they are large and their speed does not matter.
    fn compile_folder(
        &self,
        out_dir: &Path,
        bundles: &Bundles,
        folder: &Path,
        trace: bool,
    ) -> Result<Vec<PathBuf>, Error> {
        let mut fast = self.compiler(trace, self.opt_level);
        let mut slow = self.compiler(trace, 0);
        for compiler in [&mut fast, &mut slow] {
            compiler.include(folder).warnings(false);
        }
        let files = cache::cpp_files(folder)?;
        let sources = files
            .iter()
            .filter(|file| file.extension() == Some(OsStr::new("cpp")));
        let (once, often): (Vec<_>, Vec<_>) = sources.partition(|file| {
            let stem = file.file_stem().map(OsStr::to_string_lossy);
            stem.is_some_and(|stem| stem.ends_with("__Slow"))
        });
        // Not inside the folder, which is emptied by every run.
        let name = folder.strip_prefix(out_dir).unwrap_or(folder);
        let name = name.to_string_lossy().replace('/', "-");
        fast.files(bundle::write(&bundles.often, &name, &often)?);
        slow.files(bundle::write(&bundles.once, &name, &once)?);
        let stamp = out_dir.join(format!("{name}.stamp"));
        cache::objects(&stamp, &files, &[fast, slow])
    }

    fn compile_runtime(&self, out_dir: &Path, trace: bool) -> Result<Vec<PathBuf>, Error> {
        let include = self.toolchain.include_dir();
        let mut compiler = self.compiler(trace, 2);
        compiler.warnings(false);
        let mut files: Vec<_> = RUNTIME.iter().map(|file| include.join(file)).collect();
        if trace {
            files.push(include.join(RUNTIME_TRACE));
        }
        compiler.files(&files);
        cache::objects(&out_dir.join("runtime.stamp"), &files, &[compiler])
    }

    fn compile_sources(&self, headers: &[PathBuf], trace: bool) -> Result<Vec<PathBuf>, Error> {
        let mut compiler = self.compiler(trace, 2);
        for folder in headers {
            compiler.flag("-isystem").flag(folder);
        }
        compiler.includes(&self.include_dirs).warnings(true);
        for source in &self.sources {
            compiler.file(source);
            rerun_if_changed(source.parent().unwrap_or(source));
        }
        for folder in &self.include_dirs {
            rerun_if_changed(folder);
        }
        Ok(compiler.try_compile_intermediates()?)
    }

    fn compiler(&self, trace: bool, opt_level: u32) -> cc::Build {
        let include = self.toolchain.include_dir();
        let mut compiler = cc::Build::new();
        compiler
            .cpp(true)
            .std("c++17")
            .opt_level(opt_level)
            .debug(false)
            .flag("-isystem")
            .flag(&include)
            .flag("-isystem")
            .flag(include.join("vltstd"))
            .define("VM_COVERAGE", "0")
            .define("VM_SC", "0")
            .define("VM_TIMING", "0")
            .define("VM_TRACE", if trace { "1" } else { "0" })
            .define("VM_TRACE_VCD", if trace { "1" } else { "0" })
            .define("VM_TRACE_FST", "0")
            .define("VM_TRACE_SAIF", "0");
        compiler
    }
}

/// How far the compiler optimises the models: 2 in release builds, else 1, with which they compile in little more than
/// half the time and run some 3 % slower. Never 0, whatever the profile says: they would run for hours.
fn opt_level() -> u32 {
    let profile = std::env::var("OPT_LEVEL").unwrap_or_default();
    profile.parse().unwrap_or(2).clamp(1, 2)
}

fn rerun_if_changed(path: &Path) {
    println!("cargo::rerun-if-changed={}", path.display());
}
