//! The socket of a running server, by which commands of its machine change the list.
//!
//! It lies in the data directory. Only its owner and root can connect to it, as only they can change the files of a stopped
//! server. A thread of its own answers one connection after the other, so that a busy server answers, too.

use std::{
    io,
    os::unix::net::UnixListener as Bound,
    panic::AssertUnwindSafe,
    path::Path,
    thread::{self, JoinHandle},
};

use futures_util::FutureExt as _;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    runtime,
    time::timeout,
};

use super::{
    error::OperatorsError,
    list::Operators,
    protocol::{Answer, REQUEST_BYTES_MAX, Request, line},
};
use crate::{
    files::{self, Access},
    limits,
    shutdown::Shutdown,
};

/// The name of the socket in the data directory.
pub const SOCKET_FILE_NAME: &str = "operators.sock";

/// A socket that is being answered.
#[derive(Debug)]
pub struct Socket(JoinHandle<()>);

impl Socket {
    /// Answers at the socket of the data directory `data` until `shutdown` is told to stop. Replaces what a crash left.
    ///
    /// # Errors
    /// If the socket cannot be made; `InvalidInput` if its path is longer than the kernel takes.
    pub fn serve(data: &Path, operators: Operators, shutdown: Shutdown) -> io::Result<Self> {
        let path = data.join(SOCKET_FILE_NAME);
        let bound = files::bind_private(&path)?;
        bound.set_nonblocking(true)?;
        let owner = Access::of(&path)?.owner;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let served = move || {
            let answering = answer_all(bound, owner, operators, shutdown.clone());
            match runtime.block_on(AssertUnwindSafe(answering).catch_unwind()) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::error!(%error, "no command can change the list of operators any more; restart the server");
                }
                Err(_) => shutdown.crashed("operators"),
            }
        };
        thread::Builder::new().name("operators".to_owned()).spawn(served).map(Self)
    }

    /// Waits until the thread has ended, after the stop. False if it crashed.
    pub fn join(self) -> bool {
        self.0.join().is_ok()
    }
}

async fn answer_all(
    bound: Bound,
    owner: u32,
    operators: Operators,
    shutdown: Shutdown,
) -> io::Result<()> {
    let listener = UnixListener::from_std(bound)?;
    loop {
        let accepted = tokio::select! {
            () = shutdown.stopping() => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        match accepted {
            // A client that goes away has its reasons.
            Ok((stream, _)) => drop(answer(stream, owner, &operators).await),
            Err(error) => {
                tracing::warn!(%error, "a command cannot connect to the socket of operators");
                tokio::time::sleep(limits::OPERATORS_TRY_PAUSE).await;
            }
        }
    }
}

async fn answer(mut stream: UnixStream, owner: u32, operators: &Operators) -> io::Result<()> {
    // The mode of the socket says so already, unless somebody changed it.
    if ![0, owner].contains(&stream.peer_cred()?.uid()) {
        return Ok(());
    }
    let (reading, mut writing) = stream.split();
    let (patience, mut asked) = (limits::OPERATORS_SOCKET_PATIENCE, String::new());
    let mut reading = BufReader::new(reading.take(REQUEST_BYTES_MAX));
    timeout(patience, reading.read_line(&mut asked)).await??;
    // A request that breaks off has no line feed, and is not carried out.
    let Some(asked) = asked.strip_suffix('\n') else { return Ok(()) };
    let answer = match serde_json::from_str(asked) {
        Ok(request) => carry_out(request, operators).await,
        Err(_) => {
            let why = "the server does not know this request; is it of another version?";
            Err(OperatorsError::Registry(why.to_owned()))
        }
    };
    timeout(patience, writing.write_all(&line(&answer))).await?
}

async fn carry_out(request: Request, operators: &Operators) -> Answer {
    match request {
        Request::List => return operators.list(),
        Request::Check { name } => operators.check_new(&name)?,
        Request::Add { name, role, token_sha256 } => {
            operators.add(name, role, token_sha256).await?;
        }
        Request::Revoke { name } => operators.revoke(name).await?,
        Request::CheckInvite { node } => operators.check_invite(&node)?,
        Request::Invite { node, token_sha256 } => operators.invite(node, token_sha256).await?,
        Request::RemoveNode { node } => operators.remove_node(node).await?,
    }
    Ok(Vec::new())
}
