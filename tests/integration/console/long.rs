//! What the console costs. These tests print figures: how long frames, memory, and the first screen are, and what open consoles
//! cost the server. Times are never asserted.

use std::{fs, time::Duration};

use serde_json::json;

use super::{
    browser::case,
    world::{many, tokens},
};
use crate::harness::{Device, Server};

/// A search that fills the table, while every frame is measured; then the first screen.
#[tokio::test]
#[ignore = "measures; `tests/run --long` runs it"]
async fn long_console_frames_memory_and_first_screen() {
    let server = Server::start_with(&[("LOG__DURABILITY", "os")]).await;
    many(&server, 100).await;
    case("measured", &server, json!({"tokens": tokens(&server), "records": 100_000}))
        .passes()
        .await;
}

/// Pairs of the same lookups, with five consoles open and with none.
#[tokio::test]
#[ignore = "measures; `tests/run --long` runs it"]
async fn long_console_five_open_consoles_cost_lookups_little() {
    let server = Server::start_with(&[("LOG__DURABILITY", "os")]).await;
    let asker = server.sign_up().await;
    let facts = json!({"tokens": tokens(&server)});
    let measured = case("consoles", &server, facts);
    measured
        .passes_with(async |word| {
            assert_eq!(word, "measure");
            let before = processor_time(&server);
            let lookups = look_up(&server, &asker, Duration::from_secs(8)).await;
            let spent = processor_time(&server).saturating_sub(before);
            json!(spent.as_secs_f64() * 1e6 / f64::from(lookups))
        })
        .await;
}

/// Looks one number after the other up for as long as `span`. Returns how many.
async fn look_up(server: &Server, asker: &Device, span: Duration) -> u32 {
    let begun = std::time::Instant::now();
    let mut lookups = 0_u32;
    while begun.elapsed() < span {
        let number = format!("+1415555{:04}", lookups % 10_000);
        server.route(asker, &number).await;
        lookups += 1;
    }
    lookups
}

/// The processor time that the server has taken: the fields `utime` and `stime` of proc(5), in ticks of 10 ms.
fn processor_time(server: &Server) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/stat", server.pid())).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap());
    Duration::from_millis(ticks.sum::<u64>() * 10)
}
