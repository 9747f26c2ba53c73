//! Who calls: the address of the connection, or what a trusted proxy says of it.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::http::header::HeaderMap;

use crate::domain::network::Network;

/// The caller's address. `X-Forwarded-For` counts only from a trusted proxy, read from its end: what stands before the
/// first address that is not a trusted proxy's may be anybody's invention.
pub(super) fn address(connection: Option<IpAddr>, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    // A connection without an address is one of a test.
    let mut caller = connection.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let named: Vec<&str> = headers.get_all("X-Forwarded-For").filter_map(|value| value.to_str().ok()).collect();
    for text in named.iter().rev().flat_map(|line| line.rsplit(',')) {
        if !is_trusted(caller) {
            break;
        }
        let Ok(before) = text.trim().parse() else { break };
        caller = before;
    }
    caller
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    fn caller(connection: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(HeaderName::from_static("x-forwarded-for"), HeaderValue::from_str(line).unwrap());
        }
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        address(connection.parse().ok(), &headers, &trusted).to_string()
    }

    #[test]
    fn a_proxy_that_is_not_trusted_is_the_caller_itself() {
        assert_eq!(caller("203.0.113.7", &["198.51.100.1"]), "203.0.113.7");
    }

    #[test]
    fn a_chain_of_trusted_proxies_is_followed_to_the_first_other() {
        assert_eq!(caller("10.0.0.1", &["198.51.100.1, 203.0.113.7, 10.0.0.2"]), "203.0.113.7");
        assert_eq!(caller("10.0.0.1", &["198.51.100.1", "203.0.113.7"]), "203.0.113.7");
        assert_eq!(caller("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
    }

    #[test]
    fn what_is_no_address_ends_the_chain() {
        assert_eq!(caller("10.0.0.1", &["198.51.100.1, unknown, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(caller("10.0.0.1", &[]), "10.0.0.1");
    }
}
