//! The binary in a user's hands: keys in files, the chain in the environment, answers in JSON.

use std::path::Path;
use std::process::{Command, Stdio};

use alloy::primitives::Address;
use carillon_settlement::Anvil;
use serde_json::Value;

/// A user's terminal: keys in files, the chain in the environment.
pub struct Terminal {
    pub folder: tempfile::TempDir,
    l1: String,
    chain: Address,
}

impl Terminal {
    pub fn new(anvil: &Anvil, chain: Address) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for index in [0, 1, 2, 3] {
            let key = hex::encode(anvil.signers()[index].to_bytes());
            private(&folder.path().join(format!("{index}.l1")), &key);
        }
        Self {
            folder,
            l1: anvil.url().to_owned(),
            chain,
        }
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Runs a command with the key of anvil's account `signer`.
    pub fn run(&self, signer: usize, args: &str) -> (i32, Value) {
        let key = self.path(&format!("{signer}.l1"));
        self.with(&[("CARILLON_L1_KEY_FILE", &key)], args)
    }

    pub fn with(&self, variables: &[(&str, &str)], args: &str) -> (i32, Value) {
        let output = Command::new(env!("CARGO_BIN_EXE_carillon-node"))
            .args(args.split_whitespace())
            .arg("--json")
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("CARILLON_L1", &self.l1)
            .env("CARILLON_CHAIN", self.chain.to_string())
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let last = text.lines().last().unwrap_or_default();
        let value = serde_json::from_str(last).unwrap_or_else(|error| {
            let errors = String::from_utf8_lossy(&output.stderr);
            panic!("{args}: {error}: {text}{errors}")
        });
        (output.status.code().unwrap(), value)
    }

    pub fn succeeds(&self, signer: usize, args: &str) -> Value {
        let (code, value) = self.run(signer, args);
        assert_eq!(code, 0, "{args}: {value}");
        value
    }

    /// Expects a refusal; its message.
    pub fn refused(&self, signer: usize, expected: i32, args: &str) -> String {
        let (code, value) = self.run(signer, args);
        assert_eq!(code, expected, "{args}: {value}");
        value["message"].as_str().unwrap().to_owned()
    }
}

/// Writes a file that nobody else can read.
pub fn private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
