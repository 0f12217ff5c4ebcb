//! Verilates the card for the features `rtl` (fast arithmetic view), `rtl-structural` (the gateware's
//! own arithmetic as well) and `rtl-trace` (VCD). Without `rtl` there is nothing to build.

#[cfg(not(feature = "rtl"))]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}

/// How many adders the simulated card has, 1, 2 or 4: the gateware's macro and the variable of that name.
#[cfg(feature = "rtl")]
const ADDERS: &str = "CARILLON_MSM_ADDERS";

/// Which configuration of `carillon_pkg` the simulated card has: unset or `sim`, or `u250`, whose windows and transforms are larger.
#[cfg(feature = "rtl")]
const CONFIG: &str = "CARILLON_CARD_CONFIG";

#[cfg(feature = "rtl")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use carillon_verilate::{Build, Model, Toolchain};

    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={ADDERS}");
    println!("cargo::rerun-if-env-changed={CONFIG}");
    let adders = std::env::var(ADDERS).ok();
    let u250 = match std::env::var(CONFIG).as_deref() {
        Err(_) | Ok("" | "sim") => false,
        Ok("u250") => true,
        Ok(other) => return Err(format!("{CONFIG} is {other:?}: give sim or u250").into()),
    };
    // In a package it is a folder, in the repository a link, whose target names the models' sources.
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("hdl");
    let hdl = here.canonicalize().unwrap_or(here);
    let model = |prefix: &str, list: &str| {
        let model = Model::new(prefix, "carillon_card")
            .file(hdl.join("lint/waivers.vlt"))
            .file_list(hdl.join("rtl").join(list))
            .file_list(hdl.join("sva/axi.f"));
        let model = match &adders {
            Some(count) => model.define(ADDERS, count),
            None => model,
        };
        let model = match u250 {
            // With the memory that the program gives a simulated card (`MEMORY_BYTES` of `src/rtl/model.rs`).
            true => model
                .define("CARILLON_CONFIG_U250", "1")
                .define("CARILLON_CARD_MEM_BYTES", "64'h1000_0000"),
            false => model,
        };
        if cfg!(feature = "rtl-trace") {
            model.trace()
        } else {
            model
        }
    };
    let mut build = Build::new(Toolchain::find()?, "carillon_rtl")
        .model(model("VCarillonFast", "card_fast.f"))
        .source(hdl.join("sim/dpi/carillon_dpi.cpp"));
    if cfg!(feature = "rtl-structural") {
        build = build
            .model(model("VCarillonStructural", "card_structural.f").hierarchical())
            .source("src/rtl/shim/card_structural.cpp");
    }
    build
        .source("src/rtl/shim/card.cpp")
        .source("src/rtl/shim/card_fast.cpp")
        .compile()?;
    Ok(())
}
