//! The network: a namespace for each engine member and for each node, joined by two bridges.
//!
//! | bridge | whose links | network |
//! | --- | --- | --- |
//! | `engine` | members, nodes, this program | 10.77.2.0/24 |
//! | `phones` | nodes (as phones and other nodes reach them), this program | 10.77.1.0/24 |
//!
//! A link that is taken down drops every packet: connections stall and are not closed.

use std::{net::TcpListener, process::Command};

use anyhow::{Context as _, ensure};

use crate::isolation::Isolation;

/// Machines: each has an engine member and a node.
pub(crate) const MACHINES: usize = 3;

const OWN_ADDRESS: &str = "10.77.1.1";

/// A link that can be taken down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// Of an engine member.
    Member(usize),
    /// Of a node to the engine.
    NodeToEngine(usize),
    /// Of a node to phones and to other nodes.
    NodeToPhones(usize),
}

impl Link {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..MACHINES).flat_map(|n| [Self::Member(n), Self::NodeToEngine(n), Self::NodeToPhones(n)])
    }

    /// Its end on the bridge, its namespace, its bridge, and its address.
    fn parts(self) -> (String, String, &'static str, String) {
        match self {
            Self::Member(n) => {
                (format!("em{n}"), format!("m{n}"), "engine", format!("10.77.2.2{n}"))
            }
            Self::NodeToEngine(n) => {
                (format!("en{n}"), format!("n{n}"), "engine", format!("10.77.2.1{n}"))
            }
            Self::NodeToPhones(n) => {
                (format!("pn{n}"), format!("n{n}"), "phones", format!("10.77.1.1{n}"))
            }
        }
    }
}

/// Where a process runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    Member(usize),
    Node(usize),
}

/// The network of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Network(Isolation);

fn ip(words: &str) -> anyhow::Result<()> {
    let output = Command::new("ip").args(words.split(' ')).output().context("running ip")?;
    ensure!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

impl Network {
    /// Makes namespaces, bridges and links, unless the run is on loopback.
    pub(crate) fn new(isolation: Isolation) -> anyhow::Result<Self> {
        if isolation == Isolation::Loopback {
            return Ok(Self(isolation));
        }
        for (bridge, address) in [("engine", "10.77.2.1"), ("phones", OWN_ADDRESS)] {
            ip(&format!("link add {bridge} type bridge"))?;
            ip(&format!("addr add {address}/24 dev {bridge}"))?;
            ip(&format!("link set {bridge} up"))?;
        }
        for n in 0..MACHINES {
            for namespace in [format!("m{n}"), format!("n{n}")] {
                ip(&format!("netns add {namespace}"))?;
                ip(&format!("-n {namespace} link set lo up"))?;
            }
        }
        for link in Link::all() {
            let (outer, namespace, bridge, address) = link.parts();
            ip(&format!("link add {outer} type veth peer name {bridge} netns {namespace}"))?;
            ip(&format!("link set {outer} master {bridge} up"))?;
            ip(&format!("-n {namespace} addr add {address}/24 dev {bridge}"))?;
            ip(&format!("-n {namespace} link set {bridge} up"))?;
        }
        Ok(Self(isolation))
    }

    /// Whether links can be cut and file systems mounted.
    pub(crate) fn has_links(self) -> bool {
        self.0 == Isolation::Namespaces
    }

    /// The address of a process, as others reach it: of a member in the engine's network, of a node in that of phones.
    pub(crate) fn address(self, place: Place) -> String {
        let link = match place {
            Place::Member(n) => Link::Member(n),
            Place::Node(n) => Link::NodeToPhones(n),
        };
        match self.0 {
            Isolation::Namespaces => link.parts().3,
            Isolation::Loopback => "127.0.0.1".to_owned(),
        }
    }

    /// The address at which nodes reach this program.
    pub(crate) fn own_address(self) -> &'static str {
        match self.0 {
            Isolation::Namespaces => OWN_ADDRESS,
            Isolation::Loopback => "127.0.0.1",
        }
    }

    /// A port for a process. In namespaces each process has all ports for itself.
    pub(crate) fn port(self, wish: u16) -> anyhow::Result<u16> {
        match self.0 {
            Isolation::Namespaces => Ok(wish),
            Isolation::Loopback => Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port()),
        }
    }

    /// The program, to be run at its place.
    pub(crate) fn command(self, place: Place, program: &std::path::Path) -> Command {
        let namespace = match place {
            Place::Member(n) => format!("m{n}"),
            Place::Node(n) => format!("n{n}"),
        };
        match self.0 {
            Isolation::Namespaces => {
                let mut command = Command::new("nsenter");
                command.arg(format!("--net=/run/netns/{namespace}")).arg(program);
                command
            }
            Isolation::Loopback => Command::new(program),
        }
    }

    /// Takes a link down, or up again.
    pub(crate) fn set_link(self, link: Link, is_up: bool) -> anyhow::Result<()> {
        let state = if is_up { "up" } else { "down" };
        ip(&format!("link set {} {state}", link.parts().0))
    }
}
