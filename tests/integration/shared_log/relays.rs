//! Ways to a member that are slow, or lose answers, and a peer that is no member.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinSet,
    time::sleep,
};

/// How a relay treats answers.
#[derive(Clone, Copy)]
pub(super) enum Answers {
    /// It passes so many bytes each millisecond on.
    Slow(usize),
    /// It passes none on once a probe has put a key.
    LostOnceProbed,
}

/// A relay to the member at `url`, and its tasks.
pub(super) async fn relay(url: &str, answers: Answers) -> (String, JoinSet<()>) {
    let member = url.strip_prefix("http://").unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let relay = format!("http://{}", listener.local_addr().unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut passing = JoinSet::new();
        while let Ok((client, _)) = listener.accept().await {
            let (from_client, to_client) = client.into_split();
            let (from_member, to_member) = TcpStream::connect(&member).await.unwrap().into_split();
            let is_losing = Arc::new(AtomicBool::new(false));
            passing.spawn(requests(from_client, to_member, Arc::clone(&is_losing)));
            passing.spawn(pass_back(from_member, to_client, answers, is_losing));
        }
    });
    (relay, tasks)
}

async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, is_losing: Arc<AtomicBool>) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let has_probe = bytes[..count].windows(6).any(|window| window == b"probe/");
        is_losing.fetch_or(has_probe, Ordering::SeqCst);
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

async fn pass_back(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    answers: Answers,
    is_losing: Arc<AtomicBool>,
) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        match answers {
            Answers::Slow(rate) => sleep(Duration::from_millis((count / rate) as u64)).await,
            Answers::LostOnceProbed if is_losing.load(Ordering::SeqCst) => continue,
            Answers::LostOnceProbed => {}
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

/// A peer that answers each call with a gRPC status whose details are not base64, and its tasks.
pub(super) async fn broken_peer() -> (String, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut answering = JoinSet::new();
        while let Ok((socket, _)) = listener.accept().await {
            answering.spawn(answer(socket));
        }
    });
    (url, tasks)
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[..], &[kind, flags], &stream, payload].concat()
}

async fn answer(mut socket: TcpStream) {
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const END_OF_STREAM_AND_HEADERS: u8 = 5;
    // `:status` 200, from HPACK's static table. The others are literals.
    let mut headers = vec![0x88];
    for (name, value) in [
        ("content-type", "application/grpc"),
        ("grpc-status", "13"),
        ("grpc-status-details-bin", "no base64!"),
    ] {
        headers.push(0);
        for text in [name, value] {
            headers.push(u8::try_from(text.len()).unwrap());
            headers.extend(text.as_bytes());
        }
    }
    // The preface.
    socket.read_exact(&mut [0; 24]).await.unwrap();
    socket.write_all(&frame(SETTINGS, 0, [0; 4], &[])).await.unwrap();
    let mut head = [0; 9];
    while socket.read_exact(&mut head).await.is_ok() {
        let [first, second, third, kind, _, stream @ ..] = head;
        let length = u32::from_be_bytes([0, first, second, third]);
        let mut payload = vec![0; length as usize];
        socket.read_exact(&mut payload).await.unwrap();
        if kind == HEADERS {
            let answer = frame(HEADERS, END_OF_STREAM_AND_HEADERS, stream, &headers);
            socket.write_all(&answer).await.unwrap();
        }
    }
}
