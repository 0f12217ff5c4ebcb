//! A local Ethereum node: finds anvil, starts it on a free port, and stops it when dropped.
//!
//! Called by the demo and the tests. Anvil picks the port itself (port 0) and prints it, so that
//! two nodes started at once cannot collide. Its funded development keys are read from its output;
//! they are public knowledge and worth nothing on any other chain.
//!
//! The node never outlives this process, however that ends: where there is `setpriv` (util-linux),
//! Linux is told to end anvil with the thread that started it, and that thread lives as long as the
//! [`Anvil`]. It is in a process group of its own, so that an interrupt from the terminal reaches
//! this process alone, which then ends anvil.

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use alloy::network::Ethereum;
use alloy::providers::{Provider, RootProvider};
use alloy::signers::local::PrivateKeySigner;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, timeout_at};

/// Environment variable that names the anvil program.
const ANVIL_VARIABLE: &str = "CARILLON_ANVIL";
/// Environment variable that names the tools folder.
const TOOLS_VARIABLE: &str = "CARILLON_TOOLS";
/// The hard fork in force on Ethereum. The BLS12-381 precompiles came with the one before, prague.
const HARD_FORK: &str = "osaka";
/// Seconds between two writes of the state.
const STATE_INTERVAL: &str = "2";
/// How long the last write may take.
const FAREWELL: Duration = Duration::from_secs(20);

/// Why anvil could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
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
    /// The program does not take a mining interval.
    #[error("anvil refused to make blocks at fixed times: {reason}; is it another program?")]
    Mining {
        /// Its reason.
        reason: String,
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
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Seconds from block to block; `None` makes a block of every transaction at once.
    pub block_time: Option<u64>,
    /// Where the chain is kept: read at the start, if it exists, and written every few seconds and at
    /// the end. `None` forgets it.
    pub state: Option<PathBuf>,
    /// How long it may take until it listens.
    pub deadline: Duration,
}

impl Default for AnvilOptions {
    fn default() -> Self {
        Self {
            program: None,
            hard_fork: HARD_FORK.into(),
            port: 0,
            block_time: None,
            state: None,
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
    /// How long it may write its state at the end; `None` if it keeps none.
    farewell: Option<Duration>,
    /// Ends the thread that started the process.
    _keeper: Sender<()>,
}

impl Anvil {
    /// Starts anvil and waits until it listens. When the future is dropped before, the process is
    /// ended, too. Must be called within a tokio runtime with time enabled.
    pub async fn start(options: &AnvilOptions) -> Result<Self, AnvilError> {
        let path = find(options.program.as_deref())?;
        let start = |source| AnvilError::Start {
            path: path.clone(),
            source,
        };
        executable(&path).map_err(start)?;
        let (mut child, keeper) = spawn(command(&path, options)).map_err(start)?;
        let mut lines = lines_of(&mut child);
        // From here on, an early return must end the process: `Anvil` does so when dropped.
        let mut anvil = Self {
            child,
            url: String::new(),
            signers: Vec::new(),
            farewell: options.state.is_some().then_some(FAREWELL),
            _keeper: keeper,
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

    /// From now on, a block every so many seconds, and none in between.
    ///
    /// # Errors
    /// The node's refusal.
    pub async fn mine_every(&self, seconds: u64) -> Result<(), AnvilError> {
        let refused = |reason: String| AnvilError::Mining { reason };
        let url = self.url.parse();
        let url = url.map_err(|_| refused(format!("{} is no URL", self.url)))?;
        let provider: RootProvider<Ethereum> = RootProvider::new_http(url);
        let answer =
            provider.raw_request::<_, serde_json::Value>("evm_setIntervalMining".into(), [seconds]);
        answer.await.map_err(|error| refused(error.to_string()))?;
        Ok(())
    }

    /// The process id.
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        // Errors mean that the process has already ended.
        if let Some(time) = self.farewell {
            terminate(&self.child);
            let deadline = std::time::Instant::now() + time;
            while matches!(self.child.try_wait(), Ok(None)) && std::time::Instant::now() < deadline
            {
                thread::sleep(Duration::from_millis(20));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks it to write its state and end.
fn terminate(child: &Child) {
    #[cfg(unix)]
    if let Ok(id) = i32::try_from(child.id()) {
        use nix::sys::signal::{Signal, kill};
        let _ = kill(nix::unistd::Pid::from_raw(id), Signal::SIGTERM);
    }
}

/// The command line. What keeps its state is asked to write it when this process dies; what keeps
/// nothing is cut off.
fn command(path: &Path, options: &AnvilOptions) -> Command {
    let signal = if options.state.is_some() {
        "TERM"
    } else {
        "KILL"
    };
    let mut command = match setpriv() {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", signal, "--"]).arg(path);
            command
        }
        None => Command::new(path),
    };
    let port = options.port.to_string();
    command.args(["--host", "127.0.0.1", "--port", &port]);
    command.args(["--hardfork", &options.hard_fork]);
    if let Some(seconds) = options.block_time {
        command.args(["--block-time", &seconds.to_string()]);
    }
    if let Some(state) = &options.state {
        command.arg("--state").arg(state);
        command.args(["--state-interval", STATE_INTERVAL]);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command
}

/// Starts the process on a thread that lives until the sender is dropped: the system ends the
/// process with the thread that started it.
fn spawn(mut command: Command) -> std::io::Result<(Child, Sender<()>)> {
    let (tell, told) = channel();
    let (keeper, kept): (Sender<()>, Receiver<()>) = channel();
    thread::Builder::new().name("anvil".into()).spawn(move || {
        let _ = tell.send(command.spawn());
        // Ends with an error once the sender is gone.
        let _ = kept.recv();
    })?;
    let child = told.recv().map_err(std::io::Error::other)??;
    Ok((child, keeper))
}

/// `setpriv`, where the system has it.
fn setpriv() -> Option<&'static Path> {
    let paths = ["/usr/bin/setpriv", "/bin/setpriv"].map(Path::new);
    paths
        .into_iter()
        .find(|path| cfg!(target_os = "linux") && path.is_file())
}

/// Refuses what the system would not start.
fn executable(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if std::fs::metadata(path)?.permissions().mode() & 0o111 == 0 {
            return Err(std::io::ErrorKind::PermissionDenied.into());
        }
    }
    Ok(())
}

/// Sends the lines of both outputs. The threads read until the process ends, so that it never
/// blocks on a full pipe, also after the receiver is gone.
fn lines_of(child: &mut Child) -> UnboundedReceiver<String> {
    let (sender, lines) = unbounded_channel();
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
pub(crate) fn tools_folders() -> Vec<PathBuf> {
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
    async fn a_chain_is_kept_and_goes_on_where_it_ended() {
        use crate::{Deadlines, GasLimit, L1Client};
        use alloy::primitives::{Address, Bytes, U256};
        let folder = tempfile::tempdir().unwrap();
        let options = AnvilOptions {
            state: Some(folder.path().join("anvil.json")),
            ..AnvilOptions::default()
        };
        let stranger = Address::repeat_byte(7);
        for wei in 1..3u64 {
            let anvil = Anvil::start(&options).await.unwrap();
            let signer = anvil.signers()[0].clone();
            let client = L1Client::new(anvil.url(), signer, Deadlines::default()).unwrap();
            let (one, gas) = (U256::from(1), GasLimit::Estimate);
            let paid = client.pay("pay", Some(stranger), one, Bytes::new(), gas);
            paid.await.unwrap();
            let balance = client.balance(stranger).await.unwrap();
            assert_eq!(balance, U256::from(wei));
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
