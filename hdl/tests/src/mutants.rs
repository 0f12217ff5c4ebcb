//! Gateware with a fault in it, which a test has to notice: the test runs again in a process of its own, because an assertion of
//! the gateware ends the process. `build.rs` lists the models.

use std::process::Command;

/// Names the model in that process.
const VARIABLE: &str = "CARILLON_MUTANT";

/// The model that a bench takes: `name`, or in a process of [`assert_noticed`] what that names.
#[must_use]
pub fn model(name: &str) -> String {
    std::env::var(VARIABLE).unwrap_or_else(|_| name.to_owned())
}

/// Runs `test` of this program on `model` and panics unless it fails, and says `says`.
pub fn assert_noticed(model: &str, test: &str, says: &str) {
    let run = std::env::current_exe().and_then(|program| {
        Command::new(program)
            .args(["--exact", test, "--include-ignored", "--nocapture"])
            .env(VARIABLE, model)
            .output()
    });
    let output = match run {
        Ok(output) => output,
        Err(error) => panic!("cannot run this program again: {error}"),
    };
    let bytes = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&bytes);
    assert!(
        text.contains("running 1 test"),
        "there is no test {test}: {text}"
    );
    assert!(
        !output.status.success(),
        "{test} does not notice the fault of {model}"
    );
    assert!(
        !text.contains("no model"),
        "build.rs does not list {model}: {text}"
    );
    assert!(
        text.contains(says),
        "{test} on {model} does not say '{says}': {text}"
    );
}
