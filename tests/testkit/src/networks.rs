//! Hosts of their own on this machine: network namespaces that a bridge connects, for tests of what
//! a broken network does.

use std::net::Ipv4Addr;
use std::process::{self, Command};

use crate::Result;

/// Hosts, which end when this is dropped.
pub struct Networks {
    hosts: Vec<Host>,
    bridge: String,
}

/// A host: a network namespace with an address.
#[derive(Clone)]
pub struct Host {
    pub namespace: String,
    pub address: Ipv4Addr,
}

impl Networks {
    /// Creates hosts that reach each other and this process. Returns `None` and prints a line where
    /// the system does not allow it.
    pub fn create(count: u8) -> Option<Networks> {
        // Names have at most 15 bytes. Processes at the same time have different ones.
        let name = format!("kv{}", process::id() % 1_000_000);
        // Of a network for private use.
        let network = (process::id() % 250) as u8;
        let address = |host: u8| Ipv4Addr::new(10, 231, network, host);
        let mut networks = Networks { hosts: Vec::new(), bridge: format!("{name}b") };
        let created = networks.create_bridge(address(254)).and_then(|()| {
            (0..count).try_for_each(|host| {
                networks.add_host(
                    format!("{name}n{host}"),
                    format!("{name}v{host}"),
                    address(host + 1),
                )
            })
        });
        match created {
            Ok(()) => Some(networks),
            Err(cause) => {
                eprintln!("left out: no network namespaces can be created: {cause}");
                None
            }
        }
    }

    fn create_bridge(&self, address: Ipv4Addr) -> Result {
        let bridge = &self.bridge;
        ip(&format!("link add {bridge} type bridge"))?;
        ip(&format!("address add {address}/24 dev {bridge}"))?;
        ip(&format!("link set {bridge} up"))
    }

    fn add_host(&mut self, namespace: String, link: String, address: Ipv4Addr) -> Result {
        ip(&format!("netns add {namespace}"))?;
        // From here on, the drop removes it.
        self.hosts.push(Host { namespace: namespace.clone(), address });
        ip(&format!("link add {link} type veth peer name eth0 netns {namespace}"))?;
        ip(&format!("link set {link} master {}", self.bridge))?;
        ip(&format!("link set {link} up"))?;
        ip(&format!("-n {namespace} link set lo up"))?;
        ip(&format!("-n {namespace} address add {address}/24 dev eth0"))?;
        ip(&format!("-n {namespace} link set eth0 up"))
    }

    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Drops what `from` sends to `to`.
    pub fn cut(&self, from: usize, to: usize) -> Result {
        let (from, to) = (&self.hosts[from], &self.hosts[to]);
        ip(&format!("-n {} route replace blackhole {}/32", from.namespace, to.address))
    }

    /// Drops what two hosts send to each other.
    pub fn cut_both_ways(&self, one: usize, other: usize) -> Result {
        self.cut(one, other)?;
        self.cut(other, one)
    }

    /// Disconnects a host from everything, also from this process.
    pub fn isolate(&self, host: usize) -> Result {
        ip(&format!("-n {} link set eth0 down", self.hosts[host].namespace))
    }

    /// Connects everything again.
    pub fn heal(&self) -> Result {
        for host in &self.hosts {
            ip(&format!("-n {} link set eth0 up", host.namespace))?;
            // Without a blackhole there is nothing to delete.
            for other in &self.hosts {
                let _ =
                    ip(&format!("-n {} route del blackhole {}/32", host.namespace, other.address));
            }
        }
        Ok(())
    }
}

impl Drop for Networks {
    /// Errors are ignored: a namespace may be incomplete.
    fn drop(&mut self) {
        for host in &self.hosts {
            let _ = ip(&format!("netns del {}", host.namespace));
        }
        let _ = ip(&format!("link del {}", self.bridge));
    }
}

fn ip(arguments: &str) -> Result {
    let output = Command::new("ip").args(arguments.split(' ')).output();
    let output = output.map_err(|cause| format!("ip {arguments}: {cause}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(format!("ip {arguments}: {text}").into())
}
