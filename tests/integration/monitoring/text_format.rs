//! A proxy before `/metrics` that asks for Prometheus's older text format. Prometheus itself prefers OpenMetrics.

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

/// Starts the proxy, which runs until the tests end. It refuses requests that do not carry `token`.
pub(super) fn proxy(server: String, token: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            // Prometheus hangs up at the end of the test.
            let _ = answer(&connection, &server, &token);
        }
    });
    address
}

fn answer(connection: &TcpStream, server: &str, token: &str) -> io::Result<()> {
    let mut token_came = false;
    for line in BufReader::new(connection).lines() {
        let line = line?;
        let header = line.split_once(": ");
        token_came |= header.is_some_and(|(name, value)| {
            name.eq_ignore_ascii_case("authorization") && value == format!("Bearer {token}")
        });
        if line.is_empty() {
            break;
        }
    }
    if !token_came {
        return write!(&*connection, "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n");
    }
    let mut upstream = TcpStream::connect(server)?;
    write!(
        upstream,
        "GET /metrics HTTP/1.1\r\nhost: {server}\r\nauthorization: Bearer {token}\r\naccept: text/plain\r\n\
         connection: close\r\n\r\n"
    )?;
    io::copy(&mut upstream, &mut &*connection)?;
    Ok(())
}
