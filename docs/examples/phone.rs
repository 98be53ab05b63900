//! Signs a device up, asks for two handles, and signs the device out.

use dispatchd_client::{Error, Item, Options, Platform, Route, Server, SignUp};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:8080".to_owned());
    let server = Server::new(&url, Options::default())?;
    let device = server.sign_up(&SignUp::new(Platform::Other)).await?;
    // A real phone signs up once, and keeps the token in its key store.
    let phone = server.phone(device.token);

    let group = phone.look_up_batch(&["(415) 555-0123", "ann@example.com"], Some("US")).await?;
    for item in &group.answers {
        match item {
            Item::Answer(answer) => println!("{} {}", answer.handle, colour(&answer.route)),
            Item::Refused(refused) => println!("{} is no handle", refused.input),
        }
    }
    // This answer is reused: the server is not asked.
    match phone.look_up("+14155550123", None).await {
        Ok(answer) => println!("send it: {}", colour(&answer.route)),
        Err(Error::NotAHandle(_)) => println!("show the handle for correction"),
        Err(error) => println!("keep the message, and ask again later: {error}"),
    }
    phone.sign_out().await?;
    Ok(())
}

fn colour(route: &Route) -> &'static str {
    match route {
        Route::Imessage => "blue",
        Route::Sms => "green",
        Route::None => "none: offer another handle",
        Route::Unknown(_) => "unknown: keep the message",
    }
}
