//! [`Reached`]: the operators of a data directory, whether its server runs or not.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    thread,
    time::Instant,
};

use super::{
    error::{OperatorsError, ReachError, io_at},
    list::NewOperator,
    nodes::NewInvite,
    operator::Operator,
    protocol::{ANSWER_BYTES_MAX, Answer, Request, line},
    socket::SOCKET_FILE_NAME,
    stopped::StoppedOperators,
};
use crate::{files::DataDirectoryError, limits};

/// The operators of a data directory, to be read and changed by whoever can write there.
pub enum Reached {
    /// A server runs. Its socket is asked.
    Running {
        /// The socket.
        socket: PathBuf,
    },
    /// No server runs, and none can start meanwhile.
    Stopped(StoppedOperators),
}

impl Reached {
    /// Finds the server of the data directory `data`, or opens its files. Blocks while a server starts or stops, or another command
    /// uses the files, but not for longer than [`limits::OPERATORS_REACH_PATIENCE`].
    ///
    /// # Errors
    /// If `data` is no data directory, or cannot be used.
    pub fn find(data: &Path) -> Result<Self, ReachError> {
        let socket = data.join(SOCKET_FILE_NAME);
        let begun = Instant::now();
        loop {
            let is_too_long = match UnixStream::connect(&socket) {
                Ok(_) => return Ok(Self::Running { socket }),
                Err(error) => match error.kind() {
                    // The last is what a crash left.
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => false,
                    io::ErrorKind::InvalidInput => true,
                    _ => return Err(io_at(&socket)(error)),
                },
            };
            match StoppedOperators::open(data) {
                Err(ReachError::Directory(DataDirectoryError::InUse { .. })) if is_too_long => {
                    return Err(ReachError::PathTooLong(socket));
                }
                Err(ReachError::Directory(DataDirectoryError::InUse { .. }))
                    if begun.elapsed() < limits::OPERATORS_REACH_PATIENCE =>
                {
                    thread::sleep(limits::OPERATORS_TRY_PAUSE);
                }
                opened => return opened.map(Self::Stopped),
            }
        }
    }

    /// Everyone on the list, in the order they were added.
    pub fn list(&self) -> Result<Vec<Operator>, OperatorsError> {
        match self {
            Self::Running { socket } => ask(socket, &Request::List),
            Self::Stopped(stopped) => stopped.list(),
        }
    }

    /// Whether an operator of this name can be added now.
    pub fn check(&self, new: &NewOperator) -> Result<(), OperatorsError> {
        match self {
            Self::Running { socket } => {
                ask(socket, &Request::Check { name: new.name.clone() }).map(drop)
            }
            Self::Stopped(stopped) => stopped.check_new(new),
        }
    }

    /// Adds an operator, durable when this returns.
    pub fn add(&mut self, new: &NewOperator) -> Result<(), OperatorsError> {
        match self {
            Self::Running { socket } => {
                let (name, role, token_sha256) = (new.name.clone(), new.role, new.token_hash());
                change(socket, &Request::Add { name, role, token_sha256 })
            }
            Self::Stopped(stopped) => stopped.add(new),
        }
    }

    /// Takes an operator off the list, durable when this returns. A running server refuses its token from the next call on.
    pub fn revoke(&mut self, name: &str) -> Result<(), OperatorsError> {
        match self {
            Self::Running { socket } => change(socket, &Request::Revoke { name: name.to_owned() }),
            Self::Stopped(stopped) => stopped.revoke(name),
        }
    }
}

impl Reached {
    /// Whether a node of this name can be invited now.
    pub fn check_invite(&self, new: &NewInvite) -> Result<(), OperatorsError> {
        let node = new.node.clone();
        self.ask_running(&Request::CheckInvite { node })
    }

    /// Lets a node join with the token of `new`, durable when this returns.
    pub fn invite(&self, new: &NewInvite) -> Result<(), OperatorsError> {
        let (node, token_sha256) = (new.node.clone(), new.token_hash());
        self.ask_running(&Request::Invite { node, token_sha256 })
    }

    /// Has a node be none of the cluster any more, durable when this returns.
    pub fn remove_node(&self, node: &str) -> Result<(), OperatorsError> {
        self.ask_running(&Request::RemoveNode { node: node.to_owned() })
    }

    fn ask_running(&self, request: &Request) -> Result<(), OperatorsError> {
        match self {
            Self::Running { socket } => change(socket, request),
            Self::Stopped(_) => Err(OperatorsError::Stopped),
        }
    }
}

/// Has the server at `socket` make a change. Waits for a server that loads its registry, but not for longer than
/// [`limits::OPERATORS_REACH_PATIENCE`].
fn change(socket: &Path, request: &Request) -> Result<(), OperatorsError> {
    let begun = Instant::now();
    loop {
        match ask(socket, request) {
            Err(OperatorsError::Loading) if begun.elapsed() < limits::OPERATORS_REACH_PATIENCE => {
                thread::sleep(limits::OPERATORS_TRY_PAUSE);
            }
            answer => return answer.map(drop),
        }
    }
}

/// The answer of the server at `socket`.
fn ask(socket: &Path, request: &Request) -> Answer {
    let unanswered = |why: String| OperatorsError::Unanswered(why);
    let answer = exchange(socket, request).map_err(|error| unanswered(error.to_string()))?;
    serde_json::from_str(&answer).map_err(|_| unanswered("it is of another version".to_owned()))?
}

/// Sends a request, and returns the line that came back.
fn exchange(socket: &Path, request: &Request) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(limits::OPERATORS_ANSWER_PATIENCE))?;
    stream.set_write_timeout(Some(limits::OPERATORS_ANSWER_PATIENCE))?;
    stream.write_all(&line(request))?;
    let mut answer = String::new();
    BufReader::new(stream.take(ANSWER_BYTES_MAX)).read_line(&mut answer)?;
    if answer.ends_with('\n') { Ok(answer) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
