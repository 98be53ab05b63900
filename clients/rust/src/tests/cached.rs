//! Which answers are reused, and for how long.

use std::time::Duration;

use tokio::time::advance;

use super::{Fake, answers, good, lost, seconds};
use crate::{
    Answer, Route,
    cache::{Cache, Question},
    clock::Now,
};

fn asked(text: &str, region: Option<&str>) -> Question {
    Question { text: text.into(), region: region.map(Box::from) }
}

fn answer(handle: &str, route: Route, expires_in: u64) -> Answer {
    Answer { input: "?".into(), handle: handle.into(), route, subject: None, expires_in }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_reused_until_it_expires_and_no_longer() {
    let fake = Fake::new(|_, body| good(&answers(body, 60)));
    let phone = fake.phone();
    assert_eq!(phone.look_up("+1", None).await.unwrap().expires_in, 60);
    advance(Duration::from_millis(59_999)).await;
    let answer = phone.look_up("+1", None).await.unwrap();
    assert_eq!((answer.route, answer.expires_in), (Route::Imessage, 0));
    assert_eq!(fake.sent().len(), 1);
    advance(Duration::from_millis(1)).await;
    assert_eq!(phone.look_up("+1", None).await.unwrap().expires_in, 60);
    assert_eq!(fake.sent().len(), 2);
}

/// The span begins when the question is sent: the server may have known the answer at once.
#[tokio::test(start_paused = true)]
async fn the_time_on_the_way_counts() {
    let fake = Fake::slow(seconds(9), |_, body| good(&answers(body, 60)));
    let phone = fake.phone();
    let _ = phone.look_up("+1", None).await.unwrap();
    assert_eq!(phone.look_up("+1", None).await.unwrap().expires_in, 51);
}

#[tokio::test(start_paused = true)]
async fn no_error_replaces_an_answer_and_none_outlives_its_time() {
    let fake = Fake::new(|turn, body| match turn {
        0 => good(&answers(body, 60)),
        _ => Err(lost()),
    });
    let phone = fake.phone();
    let _ = phone.look_up("+1", None).await.unwrap();
    advance(seconds(59)).await;
    assert_eq!(phone.look_up("+1", None).await.unwrap().route, Route::Imessage);
    advance(seconds(1)).await;
    phone.look_up("+1", None).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn spellings_share_the_answer_of_their_handle() {
    let fake = Fake::new(|_, body| good(&answers(body, 60)));
    let phone = fake.phone();
    let _ = phone.look_up("+1 4 1", Some("US")).await.unwrap();
    // The canonical form needs no region. The spelling with another region was not asked for.
    let again = phone.look_up("+1 4 1", Some("US")).await.unwrap();
    assert_eq!((&*again.input, &*again.handle), ("+1 4 1", "+141"));
    for region in [None, Some("US"), Some("DE")] {
        assert_eq!(phone.look_up("+141", region).await.unwrap().input, "+141");
    }
    assert_eq!(fake.sent().len(), 1);
    let _ = phone.look_up("+1 4 1", Some("DE")).await.unwrap();
    assert_eq!(fake.sent().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_newer_answer_to_one_spelling_is_the_answer_to_all() {
    let mut cache = Cache::new(10);
    let (early, late) = (Now::read(), {
        advance(seconds(1)).await;
        Now::read()
    });
    let (one, other) = (asked("4 1", Some("US")), asked("41", Some("US")));
    cache.put(one.clone(), &answer("+141", Route::Imessage, 60), early, late);
    cache.put(other.clone(), &answer("+141", Route::Sms, 60), late, late);
    assert_eq!(cache.get(&one, late).unwrap().route, Route::Sms);
    // An answer that was asked for earlier and came later.
    cache.put(one.clone(), &answer("+141", Route::Imessage, 60), early, late);
    assert_eq!(cache.get(&other, late).unwrap().route, Route::Sms);
    cache.forget(&one);
    assert!(cache.get(&other, late).is_none() && cache.get(&asked("+141", None), late).is_none());
}

/// A phone sleeps: its steady clock stands still, and its wall clock goes on.
#[tokio::test(start_paused = true)]
async fn sleep_counts_and_a_clock_that_is_set_back_does_not_help() {
    let mut cache = Cache::new(10);
    let start = Now::read();
    let question = asked("+1", None);
    cache.put(question.clone(), &answer("+1", Route::Imessage, 60), start, start);
    let woken = |wall: u64| Now { wall: start.wall + seconds(wall), ..start };
    assert!(cache.get(&question, woken(59)).is_some() && cache.get(&question, woken(60)).is_none());
    let set_back = Now { wall: start.wall - seconds(1_000), steady: start.steady + seconds(60) };
    assert!(cache.get(&question, set_back).is_none());
}

#[tokio::test(start_paused = true)]
async fn the_cache_is_bounded_and_drops_what_expires_first() {
    let mut cache = Cache::new(100);
    let now = Now::read();
    for number in 0..1_000_u64 {
        // Each has two spellings. The later half of each hundred expires later.
        let handle = format!("+1{number}");
        let answer = answer(&handle, Route::Imessage, 60 + number);
        for text in [format!("1 {number}"), format!("1-{number}")] {
            cache.put(asked(&text, None), &answer, now, now);
            let (answers, spellings) = cache.len();
            assert!(answers <= 100 && spellings <= 100, "{answers} {spellings}");
        }
        assert!(cache.get(&asked(&handle, None), now).is_some(), "the newest stays: {number}");
    }
    let (answers, _) = cache.len();
    assert!(answers >= 50, "{answers}");
    assert!(cache.get(&asked("+10", None), now).is_none());
    cache.clear();
    assert_eq!(cache.len(), (0, 0));
    for most in [0, 1, 2] {
        let mut cache = Cache::new(most);
        for number in 0..10_u64 {
            let handle = format!("+1{number}");
            let answer = answer(&handle, Route::Sms, 60 + number);
            cache.put(asked(&handle, None), &answer, now, now);
            assert!(cache.len().0 <= most);
        }
        assert_eq!(cache.get(&asked("+19", None), now).is_some(), most > 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_for_no_time_and_one_for_ever() {
    let fake = Fake::new(|_, body| {
        good(&answers(body, if body["region"] == "US" { 0 } else { u64::MAX }))
    });
    let phone = fake.phone();
    let _ = phone.look_up("+1", Some("US")).await.unwrap();
    let _ = phone.look_up("+1", Some("US")).await.unwrap();
    assert_eq!(fake.sent().len(), 2);
    let _ = phone.look_up("+2", None).await.unwrap();
    advance(seconds(86_399)).await;
    let _ = phone.look_up("+2", None).await.unwrap();
    assert_eq!(fake.sent().len(), 3);
    advance(seconds(1)).await;
    let _ = phone.look_up("+2", None).await.unwrap();
    assert_eq!(fake.sent().len(), 4);
}
