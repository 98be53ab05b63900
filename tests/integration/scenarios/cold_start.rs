//! Lookups of a starting server that cannot know the answers yet.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    connection::{Reply, Wire},
    harness::{Device, PATIENCE, Server, own_port, say},
    load::Dice,
    variables::seed,
};

const ACCOUNTS: usize = 16;
/// The daily limit of codes for one account.
const HANDLES_PER_ACCOUNT: usize = 50;
const ASKERS: u64 = 3;
const GROUP: usize = 20;

/// How often the askers got each result.
#[derive(Debug, Default)]
struct Results {
    /// The connection failed or broke.
    nobody: AtomicU64,
    /// `registry-loading`.
    loading: AtomicU64,
    /// `imessage`.
    blue: AtomicU64,
    is_over: AtomicBool,
}

/// One account with all its handles.
fn register(server: &Server, device: &Device, number: usize) -> Vec<String> {
    let mut wire = Wire::connect(&server.phones).unwrap();
    let handles: Vec<_> =
        (0..HANDLES_PER_ACCOUNT).map(|place| format!("+1415{number:03}{place:04}")).collect();
    let mut claim = |handle: &String| {
        let body = json!({"handle": handle});
        wire.ask("POST", "/v1/devices/me/handles", &device.token, &body).unwrap()
    };
    let claims: Vec<_> = handles.iter().map(&mut claim).collect();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let sent = server.outbox();
    let codes: HashMap<_, _> =
        sent.iter().map(|line| (text(&line["verification"]), text(&line["code"]))).collect();
    for claim in claims {
        let verification = claim.text("verification");
        let path = format!("/v1/verifications/{verification}");
        let proved = wire.ask("POST", &path, "", &json!({"code": codes[&verification]})).unwrap();
        assert_eq!(proved.status, 200, "{proved:?}");
    }
    handles
}

/// Looks up live handles again and again.
fn ask_repeatedly(url: &str, token: &str, handles: &[String], seed: u64, results: &Results) {
    let mut dice = Dice::new(seed);
    while !results.is_over.load(Ordering::SeqCst) {
        let Ok(mut wire) = Wire::connect(url) else {
            results.nobody.fetch_add(1, Ordering::SeqCst);
            continue;
        };
        for _ in 0..1 + dice.below(10) {
            let mut some = || &handles[dice.below(handles.len() as u64) as usize];
            let group: Vec<_> = (0..GROUP).map(|_| some()).collect();
            let asked = if dice.below(2) == 0 {
                let path = format!("/v1/lookup/{}", group[0]);
                wire.ask("GET", &path, token, &Value::Null)
            } else {
                wire.ask("POST", "/v1/lookup", token, &json!({"handles": group}))
            };
            match asked {
                Ok(reply) if reply.is_whole => results.note(&reply),
                // The server stopped meanwhile.
                _ => {
                    results.nobody.fetch_add(1, Ordering::SeqCst);
                    break;
                }
            }
        }
    }
}

impl Results {
    fn note(&self, reply: &Reply) {
        if reply.status == 503 {
            assert_eq!(
                (reply.text("code"), reply.text("retry")),
                ("registry-loading".into(), "later".into())
            );
            let seconds = reply.header("retry-after").and_then(|text| text.parse::<u32>().ok());
            assert!(seconds.is_some_and(|seconds| seconds >= 1), "{reply:?}");
            self.loading.fetch_add(1, Ordering::SeqCst);
            return;
        }
        assert_eq!(reply.status, 200, "{reply:?}");
        let answers = match reply.body["answers"].as_array() {
            Some(answers) => {
                assert_eq!((answers.len(), &reply.body["together"]), (GROUP, &json!("imessage")));
                answers.as_slice()
            }
            None => std::slice::from_ref(&reply.body),
        };
        assert!(answers.iter().all(|answer| answer["route"] == "imessage"), "{reply:?}");
        self.blue.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits until the askers got some new `imessage` answers.
    async fn until_blue(&self) {
        let (before, started) = (self.blue.load(Ordering::SeqCst), Instant::now());
        while self.blue.load(Ordering::SeqCst) < before + 10 * ASKERS {
            assert!(started.elapsed() < PATIENCE, "no asker got a blue answer: {self:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

#[tokio::test]
async fn a_cold_start_never_answers_sms() {
    let seed = seed();
    println!("DISPATCHD_TEST_SEED={seed}");
    let address = format!("127.0.0.1:{}", own_port());
    let mut server = Server::start_with(&[("SERVER__PHONES", &address)]).await;
    let asker = server.sign_up().await;
    let mut owners = Vec::new();
    for _ in 0..ACCOUNTS {
        owners.push(server.sign_up().await);
    }
    let handles: Vec<String> = thread::scope(|scope| {
        let server = &server;
        let register = |(number, owner)| scope.spawn(move || register(server, owner, number));
        let registering: Vec<_> = owners.iter().enumerate().map(register).collect();
        registering.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let (results, handles) = (Arc::new(Results::default()), Arc::new(handles));
    let askers = (0..ASKERS).map(|number| {
        let (results, handles) = (Arc::clone(&results), Arc::clone(&handles));
        let (url, token) = (server.phones.clone(), asker.token.clone());
        thread::spawn(move || {
            ask_repeatedly(&url, &token, &handles, seed ^ (number << 32), &results)
        })
    });
    let askers: Vec<_> = askers.collect();
    for round in 0..6 {
        results.until_blue().await;
        if round % 2 == 0 {
            server.stop().await;
        } else {
            server.kill();
        }
        server.spawn().await;
    }
    results.until_blue().await;
    results.is_over.store(true, Ordering::SeqCst);
    askers.into_iter().for_each(|asker| asker.join().expect("every answer keeps the promise"));
    say(&format!("cold starts with {} handles: {results:?}", handles.len()));
    assert!(
        results.nobody.load(Ordering::SeqCst) > 0 && results.loading.load(Ordering::SeqCst) > 0
    );
}
