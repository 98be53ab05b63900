//! Questions asked at the same time, batches, and what a sign-out leaves.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures_util::future::{FutureExt as _, join_all};
use serde_json::json;
use tokio::time::{advance, sleep};

use super::{Fake, answers, good, lost, refused, seconds};
use crate::{Error, HandleReason, Item, Route, Together};

#[tokio::test(start_paused = true)]
async fn callers_that_ask_the_same_at_the_same_time_share_one_request() {
    let fake = Fake::slow(seconds(5), |_, body| good(&answers(body, 60)));
    let phone = fake.phone();
    let asking = (0..10).map(|_| phone.look_up("+1", None));
    for answer in join_all(asking).await {
        assert_eq!(answer.unwrap().route, Route::Imessage);
    }
    assert_eq!(fake.sent().len(), 1);
    // A batch joins a lookup that is under way, and asks for the rest.
    let batch = ["+2", "+3 3", "+2"];
    let (one, all) = tokio::join!(phone.look_up("+2", None), phone.look_up_batch(&batch, None));
    let all = all.unwrap();
    assert_eq!((one.unwrap().route, all.together), (Route::Sms, Together::Sms));
    assert_eq!(all.answers.iter().map(Item::input).collect::<Vec<_>>(), batch);
    let bodies: Vec<_> = fake.sent().into_iter().map(|(_, body, _)| body).collect();
    assert_eq!(bodies[1..], [json!({"handles": ["+2"]}), json!({"handles": ["+3 3"]})]);
}

#[tokio::test(start_paused = true)]
async fn a_shared_request_goes_on_without_its_first_caller_and_ends_with_the_last() {
    let fake = Fake::slow(seconds(5), |_, body| good(&answers(body, 60)));
    let phone = fake.phone();
    let mut first = Box::pin(phone.look_up("+1", None));
    let mut second = Box::pin(phone.look_up("+1", None));
    assert!(first.as_mut().now_or_never().is_none());
    assert!(second.as_mut().now_or_never().is_none());
    drop(first);
    assert_eq!(second.await.unwrap().route, Route::Imessage);
    assert_eq!(fake.sent().len(), 1);
    let mut only = Box::pin(phone.look_up("+2", None));
    assert!(only.as_mut().now_or_never().is_none());
    drop(only);
    assert_eq!(phone.look_up("+2", None).await.unwrap().route, Route::Sms);
    assert_eq!(fake.sent().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_shared_and_not_kept() {
    let is_well = Arc::new(AtomicBool::new(false));
    let well = Arc::clone(&is_well);
    let fake = Fake::slow(seconds(1), move |_, body| match well.load(Ordering::SeqCst) {
        true => good(&answers(body, 60)),
        false => Err(refused(401, "token-invalid", "after-fixing", None)),
    });
    let phone = fake.phone();
    for answer in join_all((0..5).map(|_| phone.look_up("+1", None))).await {
        assert!(matches!(answer, Err(Error::Refused(_))));
    }
    assert_eq!(fake.sent().len(), 1);
    is_well.store(true, Ordering::SeqCst);
    assert_eq!(phone.look_up("+1", None).await.unwrap().route, Route::Imessage);
}

#[tokio::test(start_paused = true)]
async fn a_long_batch_is_split_and_judged_as_a_whole() {
    let fake = Fake::new(|_, body| good(&answers(body, 60)));
    let server =
        crate::Server::over(Arc::clone(&fake) as Arc<_>, crate::Patience::default(), 10_000);
    let phone = server.phone(crate::Token::new(super::TOKEN).unwrap());
    let mut handles: Vec<_> = (0..2_500).map(|number| format!("+1{number}")).collect();
    let batch = phone.look_up_batch(&handles, None).await.unwrap();
    assert_eq!(batch.together, Together::Imessage, "each request said `mixed`");
    assert!(batch.answers.iter().map(Item::input).eq(handles.iter().map(String::as_str)));
    let sizes = |from: usize| -> Vec<_> {
        let sent = fake.sent().into_iter().skip(from);
        sent.map(|(_, body, _)| body["handles"].as_array().unwrap().len()).collect()
    };
    assert_eq!(sizes(0), [1_000, 1_000, 500]);
    // Only the new one is asked for.
    handles.push("+4".into());
    let batch = phone.look_up_batch(&handles, None).await.unwrap();
    assert_eq!((batch.together, sizes(3)), (Together::Mixed, vec![1]));
    handles.insert(7, "ann@example.com".into());
    let batch = phone.look_up_batch(&handles, None).await.unwrap();
    assert_eq!((batch.together, sizes(4)), (Together::None, vec![1]));
}

#[tokio::test(start_paused = true)]
async fn a_text_that_is_no_handle_has_no_route() {
    let fake = Fake::new(|_, body| good(&answers(body, 60)));
    let phone = fake.phone();
    let error = phone.look_up("x", None).await.unwrap_err();
    assert!(matches!(error, Error::NotAHandle(HandleReason::NotANumber)), "{error:?}");
    let batch = phone.look_up_batch(&["+1", "x"], None).await.unwrap();
    assert_eq!(batch.together, Together::None);
    assert!(matches!(&batch.answers[1], Item::Refused(refused) if refused.input == "x"));
    let nobody = phone.look_up_batch::<&str>(&[], None).await.unwrap();
    assert_eq!((nobody.answers.len(), nobody.together), (0, Together::None));
    assert_eq!(fake.sent().len(), 2, "a group of nobody needs no request");
}

#[tokio::test(start_paused = true)]
async fn an_item_with_an_error_is_no_answer() {
    let error = json!({"code": "handle-invalid", "reason": "too-short"});
    let item =
        json!({"input": "+1", "handle": "+1", "route": "sms", "expires_in": 60, "error": error});
    let fake = Fake::new(move |_, _| good(&json!({"answers": [item], "together": "sms"})));
    let error = fake.phone().look_up("+1", None).await.unwrap_err();
    assert!(matches!(error, Error::NotAHandle(HandleReason::TooShort)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_expires_while_others_are_waited_for_is_asked_for_again() {
    let fake = Fake::slow(seconds(5), |_, body| good(&answers(body, 60)));
    let phone = fake.phone();
    let _ = phone.look_up("+1", None).await.unwrap();
    advance(seconds(20)).await;
    // 35 seconds are left before the wait, and 30 after it.
    let batch = phone.look_up_batch(&["+1", "+2"], None).await.unwrap();
    let Item::Answer(kept) = &batch.answers[0] else { panic!("{batch:?}") };
    assert_eq!((kept.expires_in, fake.sent().len()), (30, 2));
    advance(seconds(27)).await;
    let batch = phone.look_up_batch(&["+1", "+3"], None).await.unwrap();
    let bodies: Vec<_> = fake.sent().into_iter().map(|(_, body, _)| body).collect();
    assert_eq!(bodies[2..], [json!({"handles": ["+3"]}), json!({"handles": ["+1"]})]);
    let Item::Answer(new) = &batch.answers[0] else { panic!("{batch:?}") };
    assert_eq!(new.expires_in, 60);
}

/// Each of these would give a caller the route of another handle, or one that nobody sent.
#[tokio::test(start_paused = true)]
async fn an_answer_to_something_else_is_refused() {
    let answer = |input: &str, route: &str| json!({"input": input, "handle": "+2", "route": route, "expires_in": 60});
    for answers in [
        json!([answer("+2", "sms")]),
        json!([answer("+1", "sms"), answer("+2", "sms")]),
        json!([]),
        json!([{"input": "+1", "handle": "+1", "expires_in": 60}]),
        json!([{"input": "+1", "handle": "+1", "route": null, "expires_in": 60}]),
        json!([{"input": "+1", "handle": "+1", "route": "sms", "expires_in": 60, "error": "x"}]),
        json!("sms"),
    ] {
        let body = json!({"answers": answers, "together": "sms"});
        let fake = Fake::new(move |_, _| good(&body));
        let error = fake.phone().look_up("+1", None).await.unwrap_err();
        assert!(matches!(error, Error::Unreadable), "{answers}: {error:?}");
        assert_eq!(fake.sent().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_route_of_a_newer_server_is_no_route_of_this_one() {
    let fake = Fake::new(|_, body| {
        let mut answers = answers(body, 60);
        answers["answers"][0]["route"] = "satellite".into();
        answers["answers"][0]["fast"] = true.into();
        good(&answers)
    });
    let phone = fake.phone();
    let route = phone.look_up("+4", None).await.unwrap().route;
    assert_eq!(route, Route::Unknown("satellite".into()));
    let batch = phone.look_up_batch(&["+4", "+5"], None).await.unwrap();
    assert_eq!(batch.together, Together::Unknown("satellite".into()));
}

#[tokio::test(start_paused = true)]
async fn asking_again_asks_now_whatever_is_kept_or_under_way() {
    let fake = Fake::slow(seconds(2), |turn, body| {
        let mut answers = answers(body, 60);
        match turn {
            0 | 2 => {}
            1 | 3 => answers["answers"][0]["route"] = "sms".into(),
            _ => return Err(lost()),
        }
        good(&answers)
    });
    let phone = fake.phone();
    assert_eq!(phone.look_up("+1", None).await.unwrap().route, Route::Imessage);
    assert_eq!(phone.look_up_again("+1", None).await.unwrap().route, Route::Sms);
    assert_eq!(phone.look_up("+1", None).await.unwrap().route, Route::Sms);
    // A question that was sent before the failed delivery: its answer comes later, and is not kept.
    let later = async {
        sleep(seconds(1)).await;
        phone.look_up_again("+1 2", None).await
    };
    let (early, late) = tokio::join!(phone.look_up("+1 2", None), later);
    assert_eq!((early.unwrap().route, late.unwrap().route), (Route::Imessage, Route::Sms));
    assert_eq!(phone.look_up("+1 2", None).await.unwrap().route, Route::Sms);
    assert_eq!(fake.sent().len(), 4);
    // Then the server cannot tell, and nobody knows.
    phone.look_up_again("+1", None).await.unwrap_err();
    phone.look_up("+1", None).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_sign_out_and_a_void_token_leave_no_answer() {
    let fake = Fake::slow(seconds(1), |_, body| match body.get("handles") {
        Some(_) => good(&answers(body, 600)),
        None => Ok(crate::http::Reply { status: 204, body: Vec::new() }),
    });
    let phone = fake.phone();
    let _ = phone.look_up("+1", None).await.unwrap();
    // One question is under way meanwhile.
    let (gone, _) = tokio::join!(phone.sign_out(), phone.look_up("+2", None));
    gone.unwrap();
    let before = fake.sent().len();
    for handle in ["+1", "+2"] {
        let _ = phone.clone().look_up(handle, None).await.unwrap();
    }
    assert_eq!(fake.sent().len(), before + 2);

    let fake = Fake::new(|_, body| match body.get("handles") {
        Some(_) => good(&answers(body, 600)),
        None => Err(refused(401, "token-invalid", "after-fixing", None)),
    });
    let phone = fake.phone();
    let _ = phone.look_up("+1", None).await.unwrap();
    phone.check_in().await.unwrap_err();
    let _ = phone.look_up("+1", None).await.unwrap();
    assert_eq!(fake.sent().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_ones_own_handle_is_seen_at_once() {
    let fake = Fake::new(|_, body| match body.get("handles") {
        Some(_) => good(&answers(body, 600)),
        None => good(&json!({"handle": "+4", "proved_at": "2026-11-29T00:00:00Z"})),
    });
    let phone = fake.phone();
    let mut lookups = 0;
    for change in ["none", "claim", "confirm", "give up"] {
        match change {
            "claim" => drop(phone.claim("+4", None).await.unwrap()),
            "confirm" => drop(phone.confirm("v_1", "123456").await.unwrap()),
            "give up" => phone.give_up("+4").await.unwrap(),
            _ => {}
        }
        for _ in 0..2 {
            let _ = phone.look_up("+4", None).await.unwrap();
        }
        lookups += 1;
        let sent = fake.sent().into_iter().filter(|(path, ..)| path == "POST /v1/lookup");
        assert_eq!(sent.count(), lookups, "{change}");
        advance(seconds(1)).await;
    }
}
