//! What may be in an address, in an error, and in a log.

use reqwest::Method;
use serde_json::json;

use super::{Fake, TOKEN, foreign, good, lost, not_sent, refused};
use crate::{
    Error, HandleReason, InvalidAddress, InvalidToken, LinkCode, NoAnswer, Options, Platform,
    Server, SignUp, SignedUp, Token, http::Http,
};

#[test]
fn a_token_is_in_no_debug_text() {
    let body = json!({"device": "d_1", "account": "a_1", "token": TOKEN, "lease_expires_at": "x"});
    let signed_up: SignedUp = serde_json::from_value(body.clone()).unwrap();
    assert_eq!(signed_up.token.expose(), TOKEN);
    let sign_up = SignUp { link_code: Some("7Q3NV0XKCM".into()), ..SignUp::new(Platform::Ios) };
    assert!(serde_json::to_string(&sign_up).unwrap().contains("7Q3NV0XKCM"));
    let fake = Fake::new(move |_, _| good(&body));
    let phone = fake.phone();
    assert_eq!(phone.token().expose(), TOKEN);
    let texts = [
        format!("{signed_up:?} {sign_up:#?} {phone:?} {:?}", fake.server()),
        format!("{:?} {:?}", Token::new(TOKEN).unwrap(), LinkCode::from("7Q3NV0XKCM")),
    ];
    for text in texts {
        assert!(!text.contains("secret") && !text.contains("7Q3NV"), "{text}");
    }
    assert!(format!("{:?}", signed_up.token).contains("Token"));
}

#[test]
fn a_token_is_one_visible_word() {
    let long = "x".repeat(257);
    for text in ["", " ", "a b", "a\n", "ä", &long] {
        assert_eq!(Token::new(text), Err(InvalidToken));
    }
    assert!(Token::new(&long[1..]).is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_error_names_no_handle_no_token_and_no_code() {
    let errors = [
        lost as fn() -> Error,
        not_sent,
        || Error::Unreadable,
        || Error::NotAHandle(HandleReason::TooShort),
        || Error::NoAnswer(NoAnswer::TimedOut),
        || refused(429, "rate-limited", "never", None),
        || foreign(403, ""),
    ];
    for error in errors {
        let fake = Fake::new(move |_, _| Err(error()));
        let phone = fake.phone();
        let mut failed = vec![
            phone.look_up("+14155550123", None).await.unwrap_err(),
            phone.give_up("+14155550123").await.unwrap_err(),
            phone.claim("+14155550123", None).await.unwrap_err(),
            phone.confirm("v_1", "482913").await.unwrap_err(),
        ];
        failed.push(phone.check_in().await.unwrap_err());
        for error in failed {
            let mut text = format!("{error} {error:?}");
            let mut cause = std::error::Error::source(&error);
            while let Some(error) = cause {
                text += &format!(" {error} {error:?}");
                cause = error.source();
            }
            for secret in ["4155550123", "secret", "482913"] {
                assert!(!text.contains(secret), "{text}");
            }
        }
    }
}

/// A real client against a closed port: its errors name addresses.
#[tokio::test]
async fn the_cause_of_a_network_error_names_no_address() {
    let patience = crate::Patience { attempts: 1, ..Default::default() };
    let options = Options { patience, ..Options::default() };
    let server = Server::new("http://127.0.0.1:9", options).unwrap();
    let phone = server.phone(Token::new(TOKEN).unwrap());
    let error = phone.give_up("+14155550123").await.unwrap_err();
    let Error::NoAnswer(NoAnswer::NotSent(cause)) = &error else { panic!("{error:?}") };
    let text = format!("{error:?} {cause} {cause:?}");
    assert!(!text.contains("4155550123") && !text.contains("secret"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn no_handle_of_another_person_is_in_an_address() {
    let fake = Fake::new(|_, _| Err(Error::Unreadable));
    let phone = fake.phone();
    phone.look_up("+14155550123", None).await.unwrap_err();
    phone.look_up_again("+14155550123", None).await.unwrap_err();
    phone.look_up_batch(&["+14155550123"], Some("US")).await.unwrap_err();
    phone.claim("+14155550123", None).await.unwrap_err();
    fake.server().deregister("+14155550123", None).await.unwrap_err();
    for (path, body, _) in fake.sent() {
        assert!(path.starts_with("POST ") && !path.contains("415"), "{path}");
        assert!(body.to_string().contains("+14155550123"));
    }
}

#[test]
fn parts_of_a_path_are_encoded_and_stay_below_the_base() {
    let url = |base: &str, path: &str, part: &str| {
        let http = Http { client: reqwest::Client::new(), base: base.parse().unwrap() };
        let request = crate::http::Outgoing::new(Method::GET, path).at(part);
        http.url(&request.path).to_string()
    };
    let base = "https://x.example/dispatch/";
    assert_eq!(url(base, "v1/a", "b"), "https://x.example/dispatch/v1/a/b");
    assert_eq!(
        url("https://x.example", "v1", "a/b?c#d %e"),
        "https://x.example/v1/a%2Fb%3Fc%23d%20%25e"
    );
    assert_eq!(url("https://x.example", "v1/a", "+1"), "https://x.example/v1/a/+1");
    assert_eq!(url("https://x.example", "v1/a/b", ".."), "https://x.example/v1/a/b");
}

#[test]
fn an_address_is_an_http_url() {
    for text in ["", "x.example", "ftp://x.example", "https://", "https://x.example?a=b"] {
        assert_eq!(Server::new(text, Options::default()).err(), Some(InvalidAddress), "{text}");
    }
    assert!(Server::new("https://x.example/dispatch", Options::default()).is_ok());
}
