//! Tests of the whole command line: what its parts must have in common.

use std::collections::BTreeMap;

use clap::{Arg, Command, CommandFactory};

use crate::Cli;

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

/// The variable of an option, and whether its value is kept out of the help.
type Variable = (Option<String>, bool);

/// What is in the environment counts for every command that has the option, and nothing secret is
/// printed below it.
#[test]
fn options_of_one_name_read_one_variable() {
    // A node proves only where it is told to; whose account is shown, or where a devnet lies, is said
    // on the command line; the prover's node is another server than the users'.
    let apart = [
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
