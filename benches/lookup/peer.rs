//! The hello server: the least work that an axum service can do. The bench compares lookups with it.

use std::net::Ipv4Addr;

use axum::{Router, http::header, response::IntoResponse, routing, serve::ListenerExt as _};
use tokio::net::{TcpListener, TcpStream};

/// This argument makes the program the hello server.
pub(crate) const ARGUMENT: &str = "--hello";

const BODY: &str = "{\"hello\":\"world\"}";

/// Serves until killed. The first line of output is the server's address.
pub(crate) fn serve() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("{}", listener.local_addr()?);
        let no_delay = |stream: &mut TcpStream| {
            // Without this option the server is only slower.
            let _ = stream.set_nodelay(true);
        };
        let routes = Router::new().route("/", routing::get(hello));
        axum::serve(listener.tap_io(no_delay), routes).await?;
        Ok(())
    })
}

async fn hello() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], BODY)
}

/// The request that the hello server answers.
pub(crate) fn request() -> Vec<u8> {
    b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec()
}
