//! Verilates each block under test in each arithmetic view (feature `rtl`), and generates the table
//! of models that `src/dut.rs` looks up.
//!
//! Blocks with a `mutant` have a fault that a test has to notice.
//!
//! To test another block: add a line to `BLOCKS`, then write `tests/<block>.rs` next to the others.
//! `CARILLON_BLOCKS=msm_engine,point_add cargo test ...` builds these blocks only.

#[cfg(not(feature = "rtl"))]
fn main() {}

#[cfg(feature = "rtl")]
fn main() -> Result<(), carillon_verilate::Error> {
    rtl::build()
}

#[cfg(feature = "rtl")]
mod rtl {
    use std::fmt::Write as _;
    use std::path::{Path, PathBuf};

    use carillon_verilate::{Build, Error, Model, Toolchain, hdl_dir};

    /// A module to Verilate as the top of its own model, once in each of `views`.
    struct Block {
        /// What tests call it: the module's name, or that of a variant of it.
        name: &'static str,
        top: &'static str,
        /// Preprocessor macros that make the variant.
        defines: &'static [(&'static str, &'static str)],
        views: &'static [&'static str],
        /// The file list is `rtl/<list>_<view>.f`, in the view `cells` it is `cells`.
        list: &'static str,
        cells: &'static str,
        /// Sources in addition to the file list, below `hdl/`.
        files: &'static [&'static str],
        /// What is wrong with it.
        mutant: Option<Mutant>,
        /// Built only when `CARILLON_BLOCKS` names it: for long runs.
        on_request: bool,
    }

    /// A fault in a source: tests have to notice it.
    struct Mutant {
        /// Below `hdl/rtl/`.
        file: &'static str,
        /// Stands in it once.
        from: &'static str,
        to: &'static str,
    }

    /// Names of the only blocks to build, with commas between them: for work on one of them. A module's name stands
    /// for its variants and mutants as well.
    const CHOICE: &str = "CARILLON_BLOCKS";

    const BOTH: &[&str] = &["fast", "structural"];
    /// With the view in vendor cells.
    const ALL: &[&str] = &["fast", "structural", "cells"];

    const fn arithmetic(top: &'static str) -> Block {
        Block {
            name: top,
            top,
            defines: &[],
            views: BOTH,
            list: "arith",
            cells: "syn/dsp_sim.f",
            files: &[],
            mutant: None,
            on_request: false,
        }
    }

    /// A block without arithmetic of its own or an execution unit: the structural view of units is
    /// tested as part of the whole card.
    const fn unit(top: &'static str) -> Block {
        Block {
            name: top,
            top,
            defines: &[],
            views: &["fast"],
            list: "card",
            cells: "",
            files: &[],
            mutant: None,
            on_request: false,
        }
    }

    /// The MSM engine with another number of adders than the configuration's.
    const fn msm_engine(
        name: &'static str,
        defines: &'static [(&'static str, &'static str)],
    ) -> Block {
        Block {
            name,
            defines,
            ..unit("msm_engine")
        }
    }

    /// Two streams with a fault: `tests/streams.rs`.
    const fn streams(
        name: &'static str,
        file: &'static str,
        from: &'static str,
        to: &'static str,
    ) -> Block {
        Block {
            name,
            files: &["tests/tops/stream_copy.sv"],
            mutant: Some(Mutant { file, from, to }),
            ..unit("stream_copy")
        }
    }

    const BLOCKS: &[Block] = &[
        // A hierarchical block cannot be a top itself; behind a wrapper it is compiled once for all.
        Block {
            views: ALL,
            files: &["tests/tops/fp_mul_top.sv"],
            ..arithmetic("fp_mul_top")
        },
        Block {
            files: &["tests/tops/fr_mul_top.sv"],
            ..arithmetic("fr_mul_top")
        },
        Block {
            views: &["structural", "cells"],
            files: &["tests/tops/arith_leaves.sv"],
            cells: "syn/leaves_sim.f",
            ..arithmetic("arith_leaves")
        },
        Block {
            defines: &[("CARILLON_MEM_BANKS_LOG2", "2")],
            files: &["tests/tops/mem_banks.sv"],
            ..unit("mem_banks")
        },
        arithmetic("point_add"),
        Block {
            views: &["structural"],
            files: &["tests/tops/fp_linear.sv"],
            ..arithmetic("fp_linear")
        },
        Block {
            files: &[
                "rtl/vec/delay_memory.sv",
                "rtl/msm/msm_pkg.sv",
                "rtl/msm/msm_split.sv",
                "rtl/msm/msm_quarter.sv",
                "tests/tops/msm_split_top.sv",
            ],
            ..arithmetic("msm_split_top")
        },
        Block {
            files: &["tests/tops/stream_copy.sv"],
            ..unit("stream_copy")
        },
        Block {
            files: &["tests/tops/lane_copy.sv"],
            ..unit("lane_copy")
        },
        Block {
            files: &["tests/tops/axi_rules.sv"],
            ..unit("axi_rules")
        },
        Block {
            name: "lane_copy_waits",
            files: &["tests/tops/lane_copy.sv"],
            mutant: Some(Mutant {
                file: "mem/run_writer.sv",
                from: "(FifoLog2 + 1)'(take && burst_ends)",
                to: "(FifoLog2 + 1)'(aw_done)",
            }),
            ..unit("lane_copy")
        },
        streams(
            "stream_copy_waits",
            "mem/axi_isolate_write.sv",
            "w_space = !w_valid_q || m_w_ready_i;",
            "w_space = (!w_valid_q || m_w_ready_i) && !aw_valid_q;",
        ),
        streams(
            "stream_copy_old_answers",
            "mem/axi_isolate_read.sv",
            "open_q && card_rst_ni;",
            "card_rst_ni;",
        ),
        streams(
            "stream_copy_half_bursts",
            "mem/axi_isolate_write.sv",
            "(s_w_valid_i || !open)",
            "s_w_valid_i",
        ),
        streams(
            "stream_copy_withdraws",
            "mem/axi_isolate_read.sv",
            "assign m_ar_valid_o = ar_valid_q;",
            "assign m_ar_valid_o = ar_valid_q && open;",
        ),
        Block {
            files: &["lint/waivers.vlt", "tests/tops/card_registers.sv"],
            ..unit("card_registers")
        },
        Block {
            files: &["tests/tops/queue_host.sv"],
            ..unit("queue_host")
        },
        unit("msm_engine"),
        msm_engine("msm_engine_a2", &[("CARILLON_MSM_ADDERS", "2")]),
        msm_engine("msm_engine_a4", &[("CARILLON_MSM_ADDERS", "4")]),
        unit("ntt_engine"),
        // Few stages: three passes from 2^9 on.
        Block {
            name: "ntt_engine_s4",
            defines: &[
                ("CARILLON_NTT_STAGES", "4"),
                ("CARILLON_NTT_MAX_LOG2", "12"),
            ],
            ..unit("ntt_engine")
        },
        Block {
            name: "ntt_engine_28",
            defines: &[("CARILLON_NTT_MAX_LOG2", "28")],
            on_request: true,
            ..unit("ntt_engine")
        },
        unit("quotient_engine"),
    ];

    pub(crate) fn build() -> Result<(), Error> {
        let hdl = hdl_dir();
        let mut build = Build::new(Toolchain::find()?, "carillon_blocks")
            .source(hdl.join("sim/dpi/carillon_dpi.cpp"));
        let mut models = Vec::new();
        println!("cargo::rerun-if-env-changed={CHOICE}");
        let choice = std::env::var(CHOICE).unwrap_or_default();
        let chosen = |block: &&Block| {
            choice.split(',').any(|name| name == block.name)
                || !block.on_request
                    && (choice.is_empty() || choice.split(',').any(|name| name == block.top))
        };
        for block in BLOCKS.iter().filter(chosen) {
            for view in block.views {
                let prefix = format!("dut_{}_{view}", block.name);
                let list = match *view {
                    "cells" => block.cells.to_owned(),
                    _ => format!("rtl/{}_{view}.f", block.list),
                };
                let mut model = Model::new(&prefix, block.top).expose_ports();
                if let Some(mutant) = &block.mutant {
                    // Of two modules of one name Verilator takes the first.
                    model = model
                        .argument("-Wno-MODDUP")
                        .file(hdl.join("rtl/pkg/carillon_pkg.sv"))
                        .file(mutant.write(&hdl, &prefix)?);
                }
                model = model.file_list(hdl.join(list));
                for (name, value) in block.defines {
                    model = model.define(name, value);
                }
                for file in block.files {
                    model = model.file(hdl.join(file));
                }
                if block.list == "card" {
                    // The memories of these tests keep the rules of the bus, too.
                    model = model
                        .define("CARILLON_SVA_SUBORDINATE", "1")
                        .file_list(hdl.join("sva/axi.f"));
                }
                if *view == "structural" {
                    model = model.hierarchical();
                }
                build = build.model(model);
                models.push((block.name, *view, prefix));
            }
        }
        write_table(&models)?;
        build.compile()
    }

    impl Mutant {
        /// Writes the source with its fault to OUT_DIR as `<prefix>.sv`; its path.
        fn write(&self, hdl: &Path, prefix: &str) -> Result<PathBuf, Error> {
            let source = hdl.join("rtl").join(self.file);
            let failed = |action, path: &Path| {
                let path = path.to_owned();
                move |source| Error::Io {
                    action,
                    path,
                    source,
                }
            };
            let text = std::fs::read_to_string(&source).map_err(failed("reading", &source))?;
            assert_eq!(
                text.matches(self.from).count(),
                1,
                "the fault of {prefix} replaces `{}` in {}, which has to stand there once",
                self.from,
                self.file
            );
            let path = out_dir()?.join(format!("{prefix}.sv"));
            std::fs::write(&path, text.replace(self.from, self.to))
                .map_err(failed("writing", &path))?;
            Ok(path)
        }
    }

    fn out_dir() -> Result<PathBuf, Error> {
        std::env::var_os("OUT_DIR")
            .map(PathBuf::from)
            .ok_or(Error::NoOutDir)
    }

    /// `models.rs` in OUT_DIR: declares each model's C functions and lists them.
    fn write_table(models: &[(&str, &str, String)]) -> Result<(), Error> {
        let mut declarations = String::new();
        let mut entries = String::new();
        for (name, view, prefix) in models {
            // Writing to a String cannot fail.
            let _ = writeln!(
                declarations,
                "    fn {prefix}_create() -> *mut c_void;\n    \
                 fn {prefix}_destroy(dut: *mut c_void);\n    \
                 fn {prefix}_eval(dut: *mut c_void);\n    \
                 fn {prefix}_port(dut: *mut c_void, index: usize, port: *mut RawPort) -> bool;"
            );
            let _ = writeln!(
                entries,
                "    Functions {{ model: {name:?}, view: {view:?}, create: {prefix}_create, \
                 destroy: {prefix}_destroy, eval: {prefix}_eval, port: {prefix}_port }},"
            );
        }
        let path = out_dir()?.join("models.rs");
        let text = format!(
            "unsafe extern \"C\" {{\n{declarations}}}\n\
             const MODELS: &[Functions] = &[\n{entries}];\n"
        );
        std::fs::write(&path, text).map_err(|source| Error::Io {
            action: "writing",
            path,
            source,
        })
    }
}
