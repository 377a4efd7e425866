//! The URL of a cluster: `etcd://HOST:PORT,HOST:PORT/NAMESPACE`, or `etcds://` for TLS.

use std::fmt;

use crate::error::{Error, Result};

/// The port of etcd, where a URL names none.
const DEFAULT_PORT: u16 = 2379;

/// The namespace, where a URL names none.
const DEFAULT_NAMESPACE: &str = "kvds";

/// A server of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(out, "[{}]:{}", self.host, self.port)
        } else {
            write!(out, "{}:{}", self.host, self.port)
        }
    }
}

/// A parsed URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// At least one server.
    pub endpoints: Vec<Endpoint>,
    /// Whether the connections use TLS.
    pub tls: bool,
    /// What all keys begin with, before a `/`.
    pub namespace: Vec<u8>,
}

impl Url {
    /// Parses a URL. No error shows the URL, as it may have a password in it.
    pub fn parse(text: &str) -> Result<Url> {
        let (scheme, rest) = text.split_once("://").ok_or_else(|| invalid("it has no \"://\""))?;
        let tls = match scheme {
            "etcd" => false,
            "etcds" => true,
            _ => return Err(invalid("it begins with neither etcd:// nor etcds://")),
        };
        let (hosts, namespace) = rest.split_once('/').unwrap_or((rest, ""));
        if hosts.contains('@') {
            return Err(invalid(
                "a login does not belong into it: set \"cluster_user\" and \"cluster_password\"",
            ));
        }
        if namespace.contains(['?', '#']) {
            return Err(invalid("it takes no query and no fragment"));
        }
        let endpoints = hosts.split(',').map(endpoint).collect::<Result<_>>()?;
        let namespace = percent_decoded(namespace.strip_suffix('/').unwrap_or(namespace))
            .ok_or_else(|| invalid("a % in the namespace is not followed by two hex digits"))?;
        let namespace = if namespace.is_empty() { DEFAULT_NAMESPACE.into() } else { namespace };
        Ok(Url { endpoints, tls, namespace })
    }
}

fn invalid(why: &str) -> Error {
    Error::invalid(format!(
        "option \"cluster\" takes etcd://HOST:PORT,HOST:PORT/NAMESPACE or etcds://...: {why}"
    ))
}

fn endpoint(text: &str) -> Result<Endpoint> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) =
                rest.split_once(']').ok_or_else(|| invalid("a \"[\" has no \"]\""))?;
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return Err(invalid("what is in brackets is not an IPv6 address"));
            }
            match (port, port.strip_prefix(':')) {
                ("", _) => (host, None),
                (_, Some(port)) => (host, Some(port)),
                _ => return Err(invalid("only a \":\" and a port may follow a \"]\"")),
            }
        }
        None => match text.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return Err(invalid("an IPv6 address must be in brackets"));
            }
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"%[]\\\"".contains(&byte);
    if host.is_empty() || !host.bytes().all(is_plain) {
        return Err(invalid("a host is empty or has characters that no host has"));
    }
    let port = match port {
        None => DEFAULT_PORT,
        Some(port) => port
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .ok_or_else(|| invalid("a port is not a number from 1 to 65535"))?,
    };
    Ok(Endpoint { host: host.to_owned(), port })
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(Vec<String>, bool, Vec<u8>)> {
        let url = Url::parse(text).ok()?;
        let endpoints = url.endpoints.iter().map(ToString::to_string).collect();
        Some((endpoints, url.tls, url.namespace))
    }

    #[test]
    fn urls() {
        let cases: &[(&str, &[&str], bool, &[u8])] = &[
            ("etcd://a", &["a:2379"], false, b"kvds"),
            ("etcd://a/", &["a:2379"], false, b"kvds"),
            ("etcds://a:1,b,[::1]:2/n", &["a:1", "b:2379", "[::1]:2"], true, b"n"),
            ("etcd://[::1]/n/m/", &["[::1]:2379"], false, b"n/m"),
            ("etcd://a/%00%fF%2f", &["a:2379"], false, b"\0\xFF/"),
        ];
        for (text, endpoints, tls, namespace) in cases {
            let endpoints = endpoints.iter().map(ToString::to_string).collect();
            assert_eq!(parsed(text), Some((endpoints, *tls, namespace.to_vec())), "{text}");
        }
        for text in [
            "",
            "a",
            "http://a",
            "etcd:/a",
            "etcd://",
            "etcd:///n",
            "etcd://a,,b",
            "etcd://a:0",
            "etcd://a:65536",
            "etcd://a:b",
            "etcd://a:1:2",
            "etcd://::1",
            "etcd://[::1",
            "etcd://[a]",
            "etcd://[::1]2",
            "etcd://user:secret@a",
            "etcd://a/%",
            "etcd://a/%4",
            "etcd://a/%zz",
            "etcd://a b",
            "etcd://a/n?x=1",
            "etcd://a/n#x",
        ] {
            let error = Url::parse(text).expect_err(text).to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
