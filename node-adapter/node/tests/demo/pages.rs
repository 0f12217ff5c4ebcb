//! The commands of the pages, run as they are printed: a reader who follows a page gets there.
//!
//! Blocks marked `sh` run one after the other in one shell, which ends at the first command that
//! fails; `sh background` runs beside it until it says `ready`; `sh fails` must fail. The lines of a
//! `text` block must appear in the output of the block before it, with anything in place of `…`.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::{scratch, wait_gone};

/// A block may take so long: it may make a key, and waits for proofs.
const PATIENCE: Duration = Duration::from_secs(900);

#[derive(Debug, PartialEq, Eq)]
enum Block {
    Shell(String),
    Fails(String),
    Background(String),
    Expected(Vec<String>),
}

/// The fenced blocks of a page. A block of an unknown kind would not be tested, so it is refused.
fn blocks(page: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(kind) = line.strip_prefix("```") else {
            continue;
        };
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let text = body.join("\n");
        found.push(match kind {
            "sh" => Block::Shell(text),
            "sh fails" => Block::Fails(text),
            "sh background" => Block::Background(text),
            "text" => Block::Expected(body.into_iter().map(str::to_owned).collect()),
            other => panic!("a block of the kind `{other}`: {text}"),
        });
    }
    found
}

/// Whether the pieces of `pattern` between `…` are in `line`, in order.
fn matches(line: &str, pattern: &str) -> bool {
    let mut rest = line;
    pattern
        .split('…')
        .all(|piece| match rest.split_once(piece.trim()) {
            Some((_, after)) => {
                rest = after;
                true
            }
            None => false,
        })
}

/// Folder, ports and environment of a reader.
struct Reader {
    folder: tempfile::TempDir,
    ports: [u16; 2],
    background: Vec<Child>,
}

impl Reader {
    fn new() -> Self {
        // Free now; a moment later they are taken by the devnet.
        let port = |_| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            (listener.local_addr().unwrap().port(), listener)
        };
        let held = [0, 1].map(port);
        Self {
            folder: tempfile::tempdir().unwrap(),
            ports: [held[0].0, held[1].0],
            background: Vec::new(),
        }
    }

    fn shell(&self) -> Command {
        let binary = Path::new(env!("CARGO_BIN_EXE_carillon-node"));
        let mut paths = vec![binary.parent().unwrap().to_owned()];
        paths.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
        let mut shell = Command::new("bash");
        shell
            .current_dir(self.folder.path())
            .env("PATH", std::env::join_paths(paths).unwrap())
            .env("XDG_CONFIG_HOME", scratch("no-configuration"))
            .env("CARILLON_KEY_DIR", scratch("keys"))
            .env("CARILLON_DEVNET_L1_PORT", self.ports[0].to_string())
            .env("CARILLON_DEVNET_RPC_PORT", self.ports[1].to_string())
            .env("CARILLON_TOOLS", tools());
        for variable in ["CARILLON_ENGINE", "CARILLON_ANVIL", "CARILLON_NODE_CONFIG"] {
            shell.env_remove(variable);
        }
        shell
    }

    /// Starts it and waits for `ready`.
    fn background(&mut self, text: &str) {
        let mut child = self
            .shell()
            .args(["-c", &format!("exec {text}")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let lines = lines_of(child.stdout.take().unwrap());
        self.background.push(child);
        let mut seen = String::new();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = lines.recv_timeout(left);
            let line =
                line.unwrap_or_else(|end| panic!("{text}: {end:?} before it is ready: {seen}"));
            seen += &format!("{line}\n");
            if line == "ready" {
                // Keep reading, so that it never waits for us.
                std::thread::spawn(move || lines.iter().for_each(drop));
                return;
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        for child in &mut self.background {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The project's tools, for anvil: the reader's folder is elsewhere.
fn tools() -> PathBuf {
    match std::env::var_os("CARILLON_TOOLS") {
        Some(tools) => tools.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools"),
    }
}

fn lines_of(from: impl Read + Send + 'static) -> Receiver<String> {
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if tell.send(line).is_err() {
                return;
            }
        }
    });
    told
}

/// The reader's second terminal.
struct Terminal {
    child: Child,
    lines: Receiver<String>,
    ran: usize,
}

impl Terminal {
    fn open(reader: &Reader) -> Self {
        let mut child = reader
            .shell()
            .args(["-euo", "pipefail"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let lines = lines_of(child.stdout.take().unwrap());
        Self {
            child,
            lines,
            ran: 0,
        }
    }

    /// Runs a block; its output.
    fn run(&mut self, text: &str) -> Vec<String> {
        self.ran += 1;
        let mark = format!("--- block {} is done ---", self.ran);
        let input = self.child.stdin.as_mut().unwrap();
        writeln!(input, "{text}\necho '{mark}'").unwrap();
        let mut seen = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line == mark => return seen,
                Ok(line) => seen.push(line),
                Err(end) => panic!("{text}\nended with {end:?} after\n{}", seen.join("\n")),
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Follows a page.
fn follow(page: &str) {
    let mut reader = Reader::new();
    let mut terminal = Terminal::open(&reader);
    let mut output = Vec::new();
    for block in blocks(page) {
        match block {
            Block::Background(text) => reader.background(&text),
            Block::Shell(text) => output = terminal.run(&text),
            Block::Fails(text) => {
                output = terminal.run(&format!("if {text}; then echo 'it did not fail'; fi"));
                assert!(
                    !output.iter().any(|line| line == "it did not fail"),
                    "{text}"
                );
            }
            Block::Expected(lines) => {
                for wanted in lines {
                    let found = output.iter().any(|line| matches(line, &wanted));
                    assert!(found, "`{wanted}` is not in\n{}", output.join("\n"));
                }
            }
        }
    }
    // The page ends its last devnet, and nothing stays behind.
    let mut last = reader.background.pop().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let status = loop {
        match last.try_wait().unwrap() {
            Some(status) => break status,
            None => assert!(Instant::now() < deadline, "the devnet does not end"),
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(status.success(), "{status}");
    wait_gone(|| std::net::TcpListener::bind(("127.0.0.1", reader.ports[0])).is_ok());
}

#[test]
fn every_command_of_a_chain_on_your_machine_works() {
    follow(include_str!("../../../../docs/devnet.md"));
}

#[test]
fn every_command_of_the_operator_is_gone_works() {
    follow(include_str!("../../../../docs/operator-gone.md"));
}

#[test]
fn blocks_and_expectations_are_read() {
    let page = "a\n```sh\none\ntwo\n```\n```text\nx…y\n```\n```sh fails\nno\n```\n";
    let expected = vec![
        Block::Shell("one\ntwo".into()),
        Block::Expected(vec!["x…y".into()]),
        Block::Fails("no".into()),
    ];
    assert_eq!(blocks(page), expected);
    assert!(matches("a x b y", "x…y"));
    assert!(!matches("a y b x", "x…y"));
    assert!(std::panic::catch_unwind(|| blocks("```bash\nuntested\n```\n")).is_err());
}
