//! Where a call may not go, though somebody wrote it into the settings, or made a name stand for it.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::error::TransportError;
use crate::types::http::is_link_local;

const REFUSED: &str =
    "a link-local address, where clouds keep the credentials of a machine, is not asked";

/// Refuses other schemes than http, credentials in the URL, and link-local addresses unless they are allowed.
pub(super) fn check(url: &Url, link_local: bool) -> Result<(), TransportError> {
    let bad = |what: &str| Err(TransportError::BadCall(what.to_owned()));
    if !matches!(url.scheme(), "http" | "https") {
        return bad("the URL is neither http:// nor https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return bad("the URL holds credentials");
    }
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let address = host.parse::<IpAddr>();
    if !link_local && address.is_ok_and(is_link_local) {
        return bad(REFUSED);
    }
    Ok(())
}

/// Looks names up as the system does, and leaves out link-local addresses unless they are allowed. What is looked up here
/// is what the call connects to, so that no second answer can be another one.
pub(super) struct Names {
    link_local: bool,
}

impl Names {
    pub(super) fn new(link_local: bool) -> Self {
        Self { link_local }
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let link_local = self.link_local;
        Box::pin(async move {
            // The port is that of the URL, whatever stands here.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found = allowed(found, link_local)?;
            Ok::<Addrs, Box<dyn Error + Send + Sync>>(Box::new(found.into_iter()))
        })
    }
}

fn allowed(
    found: impl Iterator<Item = SocketAddr>,
    link_local: bool,
) -> Result<Vec<SocketAddr>, std::io::Error> {
    let (refused, kept): (Vec<SocketAddr>, Vec<SocketAddr>) =
        found.partition(|address| !link_local && is_link_local(address.ip()));
    if kept.is_empty() && !refused.is_empty() {
        return Err(std::io::Error::other(REFUSED));
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_go_to_http_without_credentials_and_not_to_metadata() {
        for (url, good) in [
            ("http://localhost:1/x", true),
            ("https://10.0.0.1", true),
            ("ftp://example.com", false),
            ("file:///etc/passwd", false),
            ("http://user@example.com", false),
            ("http://:pass@example.com", false),
            ("http://169.254.169.254/latest/meta-data", false),
            // Other ways to write the same.
            ("http://2852039166/", false),
            ("http://0xa9fea9fe/", false),
            ("http://[::ffff:a9fe:a9fe]/", false),
            ("http://[fd00:ec2::254]/", false),
        ] {
            let checked = check(&Url::parse(url).unwrap(), false);
            assert_eq!(checked.is_ok(), good, "{url}");
        }
        assert!(check(&Url::parse("http://169.254.169.254").unwrap(), true).is_ok());
    }

    #[test]
    fn a_name_that_stands_for_metadata_leads_nowhere() {
        let found = |addresses: &[&str], link_local| {
            let addresses = addresses.iter().map(|address| address.parse().unwrap());
            allowed(addresses, link_local).map(|kept| kept.len())
        };
        assert_eq!(found(&["127.0.0.1:0", "10.0.0.1:0"], false).unwrap(), 2);
        assert_eq!(
            found(&["169.254.169.254:0", "10.0.0.1:0"], false).unwrap(),
            1
        );
        let refused = found(&["169.254.169.254:0", "[fe80::1]:0"], false).unwrap_err();
        assert!(refused.to_string().contains("link-local"));
        assert_eq!(found(&["169.254.169.254:0"], true).unwrap(), 1);
        assert_eq!(found(&[], false).unwrap(), 0);
    }
}
