//! Request smuggling: bytes that a proxy in front could take for one request and the server for two, or the other way round.
//! Each case is sent to the server, and through proxies as Debian ships them. The request that it tries to smuggle in is
//! `PUT /livez`, which the server would answer with 405 and count.

mod corpus;
mod proxies;

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
};

use crate::harness::{PATIENCE, Server};
use corpus::{CASES, LAST};

/// The statuses of all answers until the connection closes. Bodies contain no status line, but may name a version.
fn statuses(address: &str, request: &[u8]) -> Vec<u16> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // A server that has closed already takes no more.
    let _ = stream.write_all(request);
    let (mut answers, mut some) = (Vec::new(), [0; 4_096]);
    loop {
        match stream.read(&mut some) {
            Ok(0) => break,
            Ok(got) => answers.extend_from_slice(&some[..got]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&answers)),
        }
    }
    let text = String::from_utf8_lossy(&answers).into_owned();
    let status =
        |line: &str| line.get(1..2).filter(|blank| *blank == " ").and(line.get(2..5))?.parse().ok();
    text.split("HTTP/1.").skip(1).filter_map(status).collect()
}

#[tokio::test]
async fn no_second_request_is_smuggled_in() {
    let server = Server::start().await;
    let address = server.phones.trim_start_matches("http://");
    let mut faults = Vec::new();
    for (name, request, answers) in CASES {
        let is = statuses(address, &[*request, LAST].concat());
        if is != *answers {
            faults.push(format!("{name}: {is:?} instead of {answers:?}"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}
