//! What a devnet says once it is ready: endpoints, keys, next commands.

use alloy::signers::local::PrivateKeySigner;
use serde_json::{Value, json};

use super::ethereum::Ethereum;
use super::home::{Home, USERS};

/// The facts.
pub struct Facts<'a> {
    home: &'a Home,
    ethereum: &'a Ethereum,
    rpc: Option<&'a str>,
}

impl<'a> Facts<'a> {
    /// Of a devnet; `rpc` is the node, if it runs.
    pub fn new(home: &'a Home, ethereum: &'a Ethereum, rpc: Option<&'a str>) -> Self {
        Self {
            home,
            ethereum,
            rpc,
        }
    }

    fn users(&self) -> impl Iterator<Item = (&'static str, &PrivateKeySigner)> {
        // The first account of anvil is the operator's.
        USERS
            .into_iter()
            .zip(self.ethereum.anvil.signers().iter().skip(1))
    }

    /// For programs.
    pub fn json(&self, event: &str) -> Value {
        let users = self.users().map(|(name, signer)| {
            json!({
                "name": name,
                "address": signer.address(),
                "l1_key": self.home.l1_key(name),
                "key": self.home.account_key(name),
            })
        });
        let deployed = &self.ethereum.deployed;
        json!({
            "event": event,
            "l1": self.ethereum.anvil.url(),
            "rpc": self.rpc,
            "chain_id": deployed.chain_id,
            "chain": deployed.chain,
            "bridge": deployed.bridge,
            "hub": deployed.hub,
            "handler": deployed.handler,
            "folder": self.home.folder(),
            "kept": self.home.kept(),
            "resumed": self.ethereum.resumed,
            "users": users.collect::<Vec<_>>(),
        })
    }

    /// For people.
    pub fn text(&self) -> String {
        let folder = self.home.folder().display();
        let deployed = &self.ethereum.deployed;
        let again = if self.ethereum.resumed {
            " (goes on where it ended)"
        } else {
            ""
        };
        let kept = if self.home.kept() {
            ""
        } else {
            " (gone at the end; --data-dir keeps one)"
        };
        let mut lines = vec![
            String::new(),
            format!(
                "Ethereum   {}  chain {} at {}{again}",
                self.ethereum.anvil.url(),
                deployed.chain_id,
                deployed.chain
            ),
            match self.rpc {
                Some(rpc) => format!("rollup     {rpc}"),
                None => "rollup     not running (--l1-only)".into(),
            },
            format!("folder     {folder}{kept}"),
        ];
        lines.extend(self.users().map(|(name, signer)| {
            format!(
                "{name:<10} {}  keys {folder}/{name}.l1 (Ethereum), {folder}/{name}.key (rollup)",
                signer.address()
            )
        }));
        lines.push(String::new());
        lines.push("The keys are anvil's and public knowledge: for this machine alone. In another terminal:".into());
        lines.push(format!("  . {folder}/env"));
        let commands = [
            format!(
                "carillon-node deposit --l1-key {folder}/alice.l1 --key {folder}/alice.key --amount 1eth --wait-for executed"
            ),
            format!("carillon-node account --key {folder}/alice.key"),
            "carillon-node send withdraw --help".into(),
        ];
        lines.extend(commands.map(|command| format!("  {command}")));
        lines.push("Ctrl-C ends it.".into());
        lines.push("ready".into());
        lines.join("\n")
    }
}
