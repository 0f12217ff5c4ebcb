//! Where the node is that a command asks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use clap::Args;

use crate::config::Config;
use crate::exit::Failure;
use crate::node_rpc::Rpc;

/// Where `run` serves users unless it is told otherwise.
pub const DEFAULT_RPC: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3060);

/// The option of every command that asks a node.
#[derive(Clone, Debug, Args)]
pub struct NodeArgs {
    /// The node's JSON-RPC [default: where `rpc` in the section [run] of the configuration file says,
    /// else http://127.0.0.1:3060]
    #[arg(long, env = "CARILLON_RPC", value_name = "URL")]
    url: Option<String>,
}

impl NodeArgs {
    /// A client of the node: the option first, then the configuration file, then the default.
    pub fn rpc(&self, config: &Config) -> Result<Rpc, Failure> {
        match &self.url {
            Some(url) => Rpc::new(url),
            None => Rpc::new(&served(config.run.rpc.unwrap_or(DEFAULT_RPC))?),
        }
    }
}

/// The URL of a node on this machine that serves at an address. One that serves at all addresses is
/// asked at the machine's own.
fn served(address: SocketAddr) -> Result<String, Failure> {
    if address.port() == 0 {
        return Err(Failure::input(format!(
            "`rpc = \"{address}\"` in the section [run] of the configuration file leaves the node's port to the system: name it with --url"
        )));
    }
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    Ok(format!("http://{}", SocketAddr::new(ip, address.port())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_serves_everywhere_is_asked_here() {
        for (address, url) in [
            ("127.0.0.1:3060", "http://127.0.0.1:3060"),
            ("0.0.0.0:81", "http://127.0.0.1:81"),
            ("[::]:81", "http://[::1]:81"),
            ("192.0.2.7:81", "http://192.0.2.7:81"),
        ] {
            assert_eq!(served(address.parse().unwrap()).unwrap(), url);
        }
        let error = served("127.0.0.1:0".parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains("--url"), "{error}");
    }
}
