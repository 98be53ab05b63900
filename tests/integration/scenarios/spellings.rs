//! One subscriber, several spellings.

use reqwest::Method;
use serde_json::json;

use super::{answer, subject};
use crate::{
    handles::{claim, own_handles},
    harness::{Device, Server},
    quotas::limits,
    wire::{Reply, batch, call},
};

/// Spellings of one handle. The first is the canonical one.
const SPELLINGS: [&[&str]; 3] = [
    &[
        "ann@xn--bcher-kva.example",
        "ANN@BÜCHER.EXAMPLE",
        "Ann@Bücher.example",
        "ann@bu\u{308}cher.example",
        "ann@XN--BCHER-KVA.Example",
        "ann@ｂüｃｈｅｒ．ｅｘａｍｐｌｅ",
        "mailto:Ann@b%C3%BCcher.example",
    ],
    &["strasse@example.com", "STRASSE@EXAMPLE.COM", "Straße@example.com", "straẞe@Example.Com"],
    &[
        "+14155550123",
        "＋１４１５５５５０１２３",
        "+1 (415) 555-0123",
        "tel:+1-415-555-0123",
        "+١٤١٥٥٥٥٠١٢٣",
    ],
];

#[tokio::test]
async fn spellings_of_an_address_are_one_handle() {
    let server = Server::start().await;
    let ben = server.sign_up().await;
    for spellings in SPELLINGS {
        let canonical = spellings[0];
        let mut holder: Option<(&Device, String)> = None;
        // Two people claim it in turn: who held a handle lately gets more codes than strangers.
        let people = [server.sign_up().await, server.sign_up().await];
        for (claimed, ann) in spellings.iter().zip(people.iter().cycle()) {
            server.prove(ann, claimed).await;
            assert_eq!(own_handles(&server, ann).await, [canonical], "{claimed}");
            let seen = subject(&server, &ben, canonical).await;
            if let Some((before, was_seen)) = holder {
                assert_ne!(seen, was_seen, "{claimed}");
                assert!(own_handles(&server, before).await.is_empty(), "{claimed}");
            }
            let proved = claim(&server, ann, json!({"handle": canonical})).await;
            let sent = server.outbox().len();
            for asked in spellings {
                let answer = answer(&server, &ben, asked).await;
                assert_eq!(
                    (&answer["input"], &answer["handle"], &answer["subject"]),
                    (&json!(asked), &json!(canonical), &json!(seen)),
                    "claimed as {claimed}"
                );
                // The account holds the handle, so the server sends no code.
                let again = claim(&server, ann, json!({"handle": asked})).await;
                assert_eq!(again.is(200, &["handle", "proved_at"]), &proved.body);
            }
            assert_eq!(server.outbox().len(), sent);
            holder = Some((ann, seen));
        }
    }
}

/// A spelling and its canonical form, then another spelling and its canonical form.
type Pair = [&'static str; 4];

const PAIRS: [Pair; 4] = [
    ["+525512345678", "+525512345678", "+5215512345678", "+525512345678"],
    ["+2290195123456", "+2290195123456", "+22995123456", "+2290195123456"],
    ["+5491123456789", "+5491123456789", "+541123456789", "+541123456789"],
    ["+5511987654321", "+5511987654321", "+551187654321", "+551187654321"],
];

async fn left(server: &Server, asker: &Device, handle: &str) -> (Reply, u64) {
    let path = format!("/v1/lookup/{handle}");
    let reply = call(server, Method::GET, &path, Some(&asker.token), None).await;
    let left = limits(&reply).2;
    (reply, left)
}

#[tokio::test]
async fn mexican_argentinian_beninese_and_brazilian_spellings_find_their_holder() {
    for [one, one_canonical, other, other_canonical] in PAIRS {
        for held in [one, other] {
            let server = Server::start_with(&[("QUOTA__ENABLED", "true")]).await;
            let (ann, ben) = (server.sign_up().await, server.sign_up().await);
            server.prove(&ann, held).await;
            server.prove(&ann, "ann@example.com").await;
            let (_, allowed) = left(&server, &ben, "ann@example.com").await;
            let seen = subject(&server, &ben, "ann@example.com").await;
            for (asked, canonical) in [(one, one_canonical), (other, other_canonical)] {
                let (reply, left) = left(&server, &ben, asked).await;
                assert_eq!(left, allowed - 1, "{held} held, {asked} asked");
                let told = |field: &str| reply.body[field].as_str().unwrap_or_default();
                assert_eq!(
                    (told("input"), told("handle"), told("route"), told("subject")),
                    (asked, canonical, "imessage", seen.as_str()),
                    "{held} held"
                );
            }
            let both = batch(&server, &ben, &[other, one]).await;
            assert_eq!(limits(&both).2, allowed - 1);
            assert_eq!(both.body["together"], "imessage");
            assert_eq!(both.body["answers"][0]["subject"], both.body["answers"][1]["subject"]);
        }
    }
}

#[tokio::test]
async fn spellings_that_two_people_proved_answer_each_for_itself() {
    let server = Server::start().await;
    let (ann, eva, ben) = (server.sign_up().await, server.sign_up().await, server.sign_up().await);
    for [one, _, other, _] in [PAIRS[2], PAIRS[3]] {
        server.prove(&ann, one).await;
        let shared = subject(&server, &ben, other).await;
        server.prove(&eva, other).await;
        assert_ne!(subject(&server, &ben, other).await, shared);
        assert_eq!(subject(&server, &ben, one).await, shared);
    }
    assert_eq!(server.route(&ben, "+541123456780").await, "sms");
}
