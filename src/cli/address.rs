//! The server that a command asks: its address, and how it is reached.

use std::time::Duration;

use reqwest::{Client, Url, header::HeaderMap, redirect::Policy};

use super::{errors::UsageError, trust::Trust};

const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long a connection is silent before the other machine is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_TRIES: u32 = 4;

/// The scheme, the host and the port of a URL that a user gave: `http://127.0.0.1:8081`. `example` is the address by default.
pub(super) fn origin(given: &str, example: &str) -> Result<String, UsageError> {
    let parsed = Url::parse(given);
    let fault = match &parsed {
        Ok(url) if is_http(url) && url.as_str() == format!("{}/", origin_of(url)) => {
            return Ok(origin_of(url));
        }
        Ok(url) if is_http(url) => {
            let meant = origin_of(url);
            format!("it takes no path, and no more than a host and a port; did you mean {meant}?")
        }
        _ if given.contains("://") => match &parsed {
            Ok(url) => format!("\"{}\" is not http or https", url.scheme()),
            Err(error) => format!("\"{given}\" is no URL: {error}"),
        },
        _ => match Url::parse(&format!("http://{given}")) {
            Ok(url) => format!("\"{given}\" is no URL; did you mean {}?", origin_of(&url)),
            Err(_) => format!("\"{given}\" is no URL; give one such as {example}"),
        },
    };
    Err(UsageError(format!("the server's address: {fault}")))
}

/// Connects to `server` when it is asked.
///
/// # Errors
/// If the certificates to trust cannot be read.
pub(super) fn reach(server: &str, trust: &Trust) -> anyhow::Result<Client> {
    // Tokens and handles go to this server alone: not to a proxy that the environment happens to name, nor to where it redirects.
    let mut http = Client::builder().no_proxy().redirect(Policy::none()).referer(false);
    // A crate of the object store gives reqwest HTTP/2, for which nothing here was tried.
    http = http.http1_only();
    http = if server.starts_with("http:") {
        // A machine without the system's certificates can do without them.
        http.tls_certs_only([])
    } else {
        trust.apply(http)?
    };
    // A server may be silent for long before it answers, but its machine must be there.
    let http = http
        .connect_timeout(CONNECT_MAX)
        .tcp_keepalive(KEEPALIVE)
        .tcp_keepalive_interval(KEEPALIVE)
        .tcp_keepalive_retries(KEEPALIVE_TRIES);
    Ok(http.build()?)
}

/// The server that a redirect names. The rest of the URL may hold a handle.
pub(super) fn redirect_of(headers: &HeaderMap) -> String {
    let location = headers.get("location").and_then(|to| Url::parse(to.to_str().ok()?).ok());
    location.map_or_else(|| "another path".to_owned(), |url| origin_of(&url))
}

fn is_http(url: &Url) -> bool {
    ["http", "https"].contains(&url.scheme())
}

fn origin_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "http://127.0.0.1:8081";

    #[test]
    fn an_address_is_a_scheme_a_host_and_a_port() {
        for (given, meant) in [
            (EXAMPLE, EXAMPLE),
            ("http://127.0.0.1:8081/", EXAMPLE),
            ("https://ops.example.com", "https://ops.example.com"),
            ("HTTP://[::1]:8081", "http://[::1]:8081"),
        ] {
            assert_eq!(origin(given, EXAMPLE).unwrap(), meant);
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_was_meant() {
        for (given, said) in [
            ("http://127.0.0.1:8081/v1/log", "takes no path"),
            ("http://127.0.0.1:8081/v1/log", "did you mean http://127.0.0.1:8081?"),
            ("http://ann:secret@127.0.0.1:8081", "did you mean http://127.0.0.1:8081?"),
            ("http://127.0.0.1:8081?limit=1", "did you mean http://127.0.0.1:8081?"),
            ("127.0.0.1:8081", "did you mean http://127.0.0.1:8081?"),
            ("localhost:8081/v1/log", "did you mean http://localhost:8081?"),
            ("ftp://127.0.0.1", "\"ftp\" is not http or https"),
            ("http://127.0.0.1:99999", "is no URL: invalid port number"),
            ("", "\"\" is no URL; give one such as http://127.0.0.1:8081"),
        ] {
            let fault = origin(given, EXAMPLE).unwrap_err().0;
            assert!(fault.contains(said) && !fault.contains("secret"), "{given}: {fault}");
        }
    }
}
