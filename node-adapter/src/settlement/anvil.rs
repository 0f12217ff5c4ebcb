//! A local Ethereum node: finds anvil, starts it on a free port, and stops it when dropped.
//!
//! Called by the demo and the tests. Anvil picks the port itself (port 0) and prints it, so that
//! two nodes started at once cannot collide. Its funded development keys are read from its output;
//! they are public knowledge and worth nothing on any other chain.

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use alloy::signers::local::PrivateKeySigner;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// Environment variable that names the anvil program.
const ANVIL_VARIABLE: &str = "CARILLON_ANVIL";
/// Environment variable that names the tools folder.
const TOOLS_VARIABLE: &str = "CARILLON_TOOLS";
/// The hard fork in force on Ethereum. The BLS12-381 precompiles came with the one before, prague.
const HARD_FORK: &str = "osaka";

/// Why anvil could not be started.
#[derive(Debug, thiserror::Error)]
pub enum AnvilError {
    /// No anvil anywhere.
    #[error(
        "anvil (the local Ethereum node) was not found in {searched}; run `make setup`, or name the \
         program with --anvil or CARILLON_ANVIL"
    )]
    NotFound {
        /// The places that were searched.
        searched: String,
    },
    /// The program that was named does not exist.
    #[error("{} does not exist; --anvil and CARILLON_ANVIL must name the anvil program", .path.display())]
    NoSuchFile {
        /// The path.
        path: PathBuf,
    },
    /// The program could not be started.
    #[error("{} could not be started: {source}; run `make setup` again", .path.display())]
    Start {
        /// The program.
        path: PathBuf,
        /// The reason of the operating system.
        source: std::io::Error,
    },
    /// The program ended before it listened.
    #[error("{} ended before it was ready: {output}", .path.display())]
    Ended {
        /// The program.
        path: PathBuf,
        /// What it printed.
        output: String,
    },
    /// The program does not listen.
    #[error("{} was not ready within {}s; is the machine overloaded?", .path.display(), .deadline.as_secs())]
    NotReady {
        /// The program.
        path: PathBuf,
        /// The deadline.
        deadline: Duration,
    },
}

/// How to start anvil.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnvilOptions {
    /// The program; `None` searches for it.
    pub program: Option<PathBuf>,
    /// The rules of the chain, by the name of their hard fork.
    pub hard_fork: String,
    /// How long it may take until it listens.
    pub deadline: Duration,
}

impl Default for AnvilOptions {
    fn default() -> Self {
        Self {
            program: None,
            hard_fork: HARD_FORK.into(),
            deadline: Duration::from_secs(20),
        }
    }
}

/// A running anvil. Dropping it ends the process.
#[derive(Debug)]
pub struct Anvil {
    child: Child,
    url: String,
    signers: Vec<PrivateKeySigner>,
}

impl Anvil {
    /// Starts anvil and waits until it listens. When the future is dropped before, the process is
    /// ended, too. Must be called within a tokio runtime with time enabled.
    pub async fn start(options: &AnvilOptions) -> Result<Self, AnvilError> {
        let path = find(options.program.as_deref())?;
        let mut child = Command::new(&path)
            .args([
                "--host",
                "127.0.0.1",
                "--port",
                "0",
                "--hardfork",
                &options.hard_fork,
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| AnvilError::Start {
                path: path.clone(),
                source,
            })?;
        let mut lines = lines_of(&mut child);
        // From here on, an early return must end the process: `Anvil` does so when dropped.
        let mut anvil = Self {
            child,
            url: String::new(),
            signers: Vec::new(),
        };
        let deadline = Instant::now() + options.deadline;
        let mut output = String::new();
        loop {
            let Ok(line) = timeout_at(deadline, lines.recv()).await else {
                return Err(AnvilError::NotReady {
                    path,
                    deadline: options.deadline,
                });
            };
            let Some(line) = line else {
                let output = output.trim().to_owned();
                return Err(AnvilError::Ended { path, output });
            };
            if let Some(address) = line.strip_prefix("Listening on ") {
                anvil.url = format!("http://{}", address.trim());
                return Ok(anvil);
            }
            anvil.signers.extend(private_key(&line));
            output.push_str(&line);
            output.push('\n');
        }
    }

    /// Where it answers JSON-RPC.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Keys of funded development accounts.
    pub fn signers(&self) -> &[PrivateKeySigner] {
        &self.signers
    }

    /// The process id.
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        // Errors mean that the process has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends the lines of both outputs. The threads read until the process ends, so that it never
/// blocks on a full pipe, also after nobody listens any more.
fn lines_of(child: &mut Child) -> mpsc::UnboundedReceiver<String> {
    let (sender, lines) = mpsc::unbounded_channel();
    let outputs: [Option<Box<dyn Read + Send>>; 2] = [
        child.stdout.take().map(|out| Box::new(out) as _),
        child.stderr.take().map(|out| Box::new(out) as _),
    ];
    for output in outputs.into_iter().flatten() {
        let sender = sender.clone();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
    }
    lines
}

/// The key in a line like `(0) 0x12...ef` with 32 bytes; other lines have none.
fn private_key(line: &str) -> Option<PrivateKeySigner> {
    let (number, key) = line.trim().split_once(' ')?;
    let numbered = number.starts_with('(') && number.ends_with(')');
    let key = key.trim();
    (numbered && key.len() == 66)
        .then(|| key.parse().ok())
        .flatten()
}

/// The native anvil program: as named, by `CARILLON_ANVIL`, in the tools folder, or on PATH.
fn find(named: Option<&Path>) -> Result<PathBuf, AnvilError> {
    let variable = env::var_os(ANVIL_VARIABLE).map(PathBuf::from);
    if let Some(path) = named.map(Path::to_owned).or(variable) {
        return if path.is_file() {
            Ok(native(path))
        } else {
            Err(AnvilError::NoSuchFile { path })
        };
    }
    let mut candidates: Vec<PathBuf> = tools_folders()
        .into_iter()
        .map(|tools| tools.join("node/node_modules/.bin/anvil"))
        .collect();
    if let Some(paths) = env::var_os("PATH") {
        candidates.extend(env::split_paths(&paths).map(|folder| folder.join("anvil")));
    }
    candidates
        .into_iter()
        .find(|path| path.is_file())
        .map(native)
        .ok_or_else(|| AnvilError::NotFound {
            searched: "CARILLON_TOOLS, the project's .tools folder and PATH".into(),
        })
}

/// `CARILLON_TOOLS`, or every `.tools` above the current folder and above this program.
fn tools_folders() -> Vec<PathBuf> {
    if let Some(tools) = env::var_os(TOOLS_VARIABLE) {
        return vec![tools.into()];
    }
    let starts = [env::current_dir().ok(), env::current_exe().ok()];
    starts
        .iter()
        .flatten()
        .flat_map(|start| start.ancestors())
        .map(|folder| folder.join(".tools"))
        .collect()
}

/// npm's `anvil` is a Node script that starts the real program; ending the script would leave the
/// program running. Takes the real one from the platform package beside it, where there is one.
fn native(path: PathBuf) -> PathBuf {
    let Ok(script) = path.canonicalize() else {
        return path;
    };
    let architecture = match env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let system = match env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let program = script
        .parent()
        .and_then(Path::parent)
        .map(|scope| scope.join(format!("anvil-{system}-{architecture}/bin/anvil")));
    match program {
        Some(program) if script.ends_with("anvil/bin.mjs") && program.is_file() => program,
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_and_addresses_are_not() {
        let key = format!("(3) 0x{}", "11".repeat(32));
        assert!(private_key(&key).is_some());
        assert!(private_key(&format!("  {key}  ")).is_some());
        assert!(private_key("(3) 0x70997970C51812dc3A010C7d01b50e0d17dc79C8").is_none());
        assert!(private_key("Mnemonic: test test").is_none());
        assert!(private_key(&format!("(3) 0x{}", "00".repeat(32))).is_none());
        assert!(private_key("").is_none());
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let options = AnvilOptions {
            program: Some("no/such/anvil".into()),
            ..AnvilOptions::default()
        };
        let error = Anvil::start(&options).await.unwrap_err();
        assert!(matches!(error, AnvilError::NoSuchFile { .. }));
        assert!(error.to_string().contains("no/such/anvil"));
    }

    #[tokio::test]
    async fn a_program_that_is_not_anvil_is_refused_with_its_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("anvil");
        std::fs::write(&path, "not a program\n").unwrap();
        let options = AnvilOptions {
            program: Some(path.clone()),
            ..AnvilOptions::default()
        };
        let error = Anvil::start(&options).await.unwrap_err();
        assert!(matches!(error, AnvilError::Start { .. }), "{error}");

        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::write(&path, "#!/bin/sh\necho no chain today >&2\nexit 3\n").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            let error = Anvil::start(&options).await.unwrap_err();
            assert!(error.to_string().contains("no chain today"), "{error}");
        }
    }

    #[tokio::test]
    #[cfg(unix)]
    async fn a_program_that_never_listens_is_ended_at_the_deadline() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("anvil");
        std::fs::write(&path, "#!/bin/sh\nexec sleep 600\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let options = AnvilOptions {
            program: Some(path),
            deadline: Duration::from_millis(200),
            ..AnvilOptions::default()
        };
        let error = Anvil::start(&options).await.unwrap_err();
        assert!(matches!(error, AnvilError::NotReady { .. }), "{error}");
    }
}
