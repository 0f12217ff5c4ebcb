//! What a node answers to the probes of its servers, users' and provers': whether it works, whether it is
//! ready, and its figures. Called by `carillon-serving` in both.

use super::metrics;
use super::status::NodeStatus;
use carillon_serving::{Probe, Unready};

impl Probe for NodeStatus {
    fn failure(&self) -> Option<String> {
        NodeStatus::failure(self)
    }

    fn unready(&self) -> Vec<Unready> {
        NodeStatus::unready(self)
    }

    fn metrics(&self) -> String {
        metrics::text(self)
    }
}
