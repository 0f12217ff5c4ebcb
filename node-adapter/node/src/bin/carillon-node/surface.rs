//! Tests of the whole command line: what its parts must have in common, and what the pages say of it.

use std::collections::{BTreeMap, BTreeSet};

use carillon_runtime::EngineKind;
use carillon_runtime::engine::ENGINES;
use clap::{Arg, ArgAction, Command, CommandFactory};

use crate::Cli;
use crate::config::Config;

const NODE: &str = include_str!("../../../../NODE.md");
/// Widest line of a synopsis.
const WIDTH: usize = 150;

/// Every command that does something, with its words.
fn commands() -> Vec<(String, Command)> {
    fn collect(words: &str, command: &Command, into: &mut Vec<(String, Command)>) {
        let mut below = command.get_subcommands().peekable();
        if below.peek().is_none() {
            into.push((words.to_owned(), command.clone()));
        }
        for sub in below.filter(|sub| sub.get_name() != "help") {
            collect(&format!("{words} {}", sub.get_name()), sub, into);
        }
    }
    let mut cli = Cli::command();
    // Options of every command are not each command's own.
    let common: Vec<String> = own(&cli).map(|arg| arg.get_id().to_string()).collect();
    cli.build();
    let mut all = Vec::new();
    for sub in cli.get_subcommands() {
        if sub.get_name() != "help" {
            collect(sub.get_name(), sub, &mut all);
        }
    }
    for (_, command) in &mut all {
        *command = std::mem::take(command).mut_args(|arg| {
            let hidden = common.contains(&arg.get_id().to_string());
            if hidden { arg.hide(true) } else { arg }
        });
    }
    all
}

/// The arguments that are shown, but for help and version.
fn own(command: &Command) -> impl Iterator<Item = &Arg> {
    command
        .get_arguments()
        .filter(|arg| !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str()))
}

fn command(words: &str) -> Command {
    let found = commands().into_iter().find(|(name, _)| name == words);
    found.unwrap().1
}

fn options(command: &Command) -> BTreeSet<String> {
    own(command)
        .filter_map(|arg| arg.get_long().map(str::to_owned))
        .collect()
}

/// The variable of an option, and whether its value is kept out of the help.
type Variable = (Option<String>, bool);

/// What is in the environment counts for every command that has the option, and nothing secret is
/// printed below it.
#[test]
fn options_of_one_name_read_one_variable() {
    // A node proves only where it is told to; whose account is shown, or where a devnet lies, is said
    // on the command line; the prover's node is another server than the users'; a gateway beside a node has a folder and
    // a key of its own.
    let apart = [
        ("gateway", "data-dir"),
        ("gateway", "key"),
        ("run", "engine"),
        ("account", "key"),
        ("devnet", "data-dir"),
        ("prover", "url"),
    ];
    let mut seen: BTreeMap<String, BTreeMap<Variable, Vec<String>>> = BTreeMap::new();
    let mut met = 0;
    for (words, command) in commands() {
        for arg in own(&command) {
            let Some(long) = arg.get_long() else { continue };
            if apart.contains(&(words.as_str(), long)) {
                met += 1;
                continue;
            }
            let env = arg
                .get_env()
                .map(|name| name.to_string_lossy().into_owned());
            let kinds = seen.entry(long.to_owned()).or_default();
            let kind = (env, arg.is_hide_env_values_set());
            kinds.entry(kind).or_default().push(words.clone());
        }
    }
    assert_eq!(met, apart.len());
    for (long, kinds) in &seen {
        assert_eq!(kinds.len(), 1, "--{long}: {kinds:?}");
    }
    let variable = |long: &str| seen[long].keys().next().unwrap().clone();
    let named = |name: &str| Some(name.to_owned());
    assert_eq!(variable("chain"), (named("CARILLON_CHAIN"), false));
    assert_eq!(variable("l1"), (named("CARILLON_L1"), true));
    assert_eq!(variable("archive"), (named("CARILLON_ARCHIVE"), true));
    assert_eq!(variable("url"), (named("CARILLON_RPC"), false));
    assert!(seen["chain"].values().next().unwrap().len() > 15);
}

/// Help and error list the engines in one text.
#[test]
fn every_option_of_engines_lists_them_all() {
    let mut met = 0;
    for (words, command) in commands() {
        for arg in own(&command).filter(|arg| arg.get_long() == Some("engine")) {
            let help = arg.get_help().unwrap().to_string();
            assert!(help.contains(ENGINES), "{words}: {help}");
            met += 1;
        }
    }
    assert_eq!(met, 4);
    let error = "foo".parse::<EngineKind>().unwrap_err().to_string();
    assert!(error.ends_with(ENGINES), "{error}");
}

/// A command as the page shows it.
fn synopsis(words: &str, command: &Command) -> String {
    let mut parts = vec![format!("carillon-node {words}")];
    let positional = own(command).filter(|arg| arg.is_positional());
    let named = own(command).filter(|arg| !arg.is_positional());
    for arg in positional.chain(named) {
        let takes = arg.get_action().takes_values();
        let value = arg.get_value_names().unwrap_or_default().join(" ");
        let text = match arg.get_long() {
            None => value,
            Some(long) if takes => format!("--{long} {value}"),
            Some(long) => format!("--{long}"),
        };
        let many = matches!(arg.get_action(), ArgAction::Append);
        let text = if arg.is_required_set() {
            text
        } else {
            format!("[{text}]")
        };
        parts.push(if many { format!("{text}...") } else { text });
    }
    let mut lines = vec![String::from("    ")];
    for part in parts {
        let line = lines.last_mut().unwrap();
        let begun = !line.trim().is_empty();
        if begun && line.len() + part.len() >= WIDTH {
            lines.push(format!("            {part}"));
        } else {
            line.push_str(if begun { " " } else { "" });
            line.push_str(&part);
        }
    }
    lines.join("\n")
}

/// Every option of every command is on the page, and nothing else.
#[test]
fn the_page_has_every_command_and_option() {
    let expected: Vec<String> = commands()
        .iter()
        .map(|(words, command)| synopsis(words, command))
        .collect();
    let expected = expected.join("\n");
    let (_, section) = NODE.split_once("\n## Commands\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut blocks = section.split("\n\n").map(|part| part.trim_matches('\n'));
    let found = blocks.find(|part| part.starts_with("    ")).unwrap();
    assert!(
        found == expected,
        "the first block of \"Commands\" in NODE.md is not what the commands take; it must be:\n{expected}"
    );
}

/// The keys that the file may have in a section (`""`: above all of them), as the parser knows them.
fn keys(section: &str) -> BTreeSet<String> {
    let head = if section.is_empty() {
        String::new()
    } else {
        format!("[{section}]\n")
    };
    let error = toml::from_str::<Config>(&format!("{head}no_such_key = 1")).unwrap_err();
    let text = error.message().to_owned();
    let (_, known) = text.split_once("expected one of ").unwrap();
    let names = known
        .split(", ")
        .map(|name| name.trim_matches('`').to_owned());
    names.collect()
}

/// The words between backticks.
fn quoted(text: &str) -> BTreeSet<String> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn help_and_page_name_every_key_of_the_file() {
    let top = keys("");
    let sections: BTreeSet<String> = ["run", "fees", "prover", "gateway"]
        .map(str::to_owned)
        .into();
    assert!(top.is_superset(&sections), "{top:?}");
    let above: BTreeSet<String> = top.difference(&sections).cloned().collect();
    let mut fees = keys("fees");
    assert!(fees.remove("tokens"));

    // The page, row by row.
    for (row, keys) in [
        ("above all sections", &above),
        ("`[run]`", &keys("run")),
        ("`[fees]`", &fees),
        ("`[prover]`", &keys("prover")),
        ("`[gateway]`", &keys("gateway")),
    ] {
        let head = format!("| {row} | ");
        let line = NODE.lines().find_map(|line| line.strip_prefix(&head));
        let line = line.unwrap_or_else(|| panic!("NODE.md has no row {row}"));
        assert_eq!(&quoted(line), keys, "{row}");
    }

    // The help of --config.
    let cli = Cli::command();
    let config = cli
        .get_arguments()
        .find(|arg| arg.get_id() == "config")
        .unwrap();
    let help = config.get_help().unwrap().to_string();
    for word in above.iter().chain(&fees) {
        assert!(help.contains(word.as_str()), "{word}: {help}");
    }
    for section in sections.iter().chain([&"fees.tokens".to_owned()]) {
        assert!(help.contains(&format!("[{section}]")), "{section}: {help}");
    }
}

/// What a section is called like an option, and the other way round.
#[test]
fn sections_have_the_options_of_their_commands() {
    let as_options = |section: &str| -> BTreeSet<String> {
        keys(section)
            .iter()
            .map(|key| key.replace('_', "-"))
            .collect()
    };
    let mut run = options(&command("run"));
    // In the section of fees, beside what belongs to it.
    assert!(run.remove("base-fee") && keys("fees").contains("base_fee"));
    assert_eq!(run, as_options("run"));
    let mut prover = options(&command("prover"));
    // Above all sections; of one call alone.
    for option in ["engine", "key-dir", "jobs"] {
        assert!(prover.remove(option), "{option}");
    }
    assert_eq!(prover, as_options("prover"));
    assert_eq!(options(&command("gateway")), as_options("gateway"));
}

/// The example that packages install is a file that the program reads, also with every line in force.
#[test]
fn the_packaged_file_is_read() {
    let text = include_str!("../../../../../packaging/node.toml");
    assert_eq!(toml::from_str::<Config>(text).unwrap(), Config::default());
    let lines = text.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => rest,
        _ => line,
    });
    let config: Config = toml::from_str(&lines.collect::<Vec<_>>().join("\n")).unwrap();
    assert!(config.run.chain.is_some() && config.prover.token_file.is_some());
}

/// Who may call, and what an option does, is in the help that a user reads first.
#[test]
fn help_says_who_may_and_what_happens_without() {
    let long = |words: &str| {
        let text = command(words).render_long_help().to_string();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let revert = long("revert");
    assert!(
        revert.contains("operator may at any time") && revert.contains("revert delay"),
        "{revert}"
    );
    let deploy = long("deploy");
    assert!(deploy.contains("[default: 604800, a week]"), "{deploy}");
    let run = long("run");
    assert!(
        run.contains("before it is settled") && run.contains("[default: archive in"),
        "{run}"
    );
    let reclaim = long("reclaim");
    assert!(
        reclaim.contains("Needed unless --proofs is given"),
        "{reclaim}"
    );
}
