use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::Duration,
};

use axum::{Json, Router, http::StatusCode, routing::post};
use tokio::time::timeout;

use super::*;
use crate::{
    clock::SystemClock,
    cluster::peers::tests::{member, peers, served},
    quota::{Config, Counter, QuotaReceipt, Spent},
};

/// More than anything takes, also on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Another node: how many parts of what is owed it has heard.
#[derive(Default)]
struct Heard {
    parts: AtomicUsize,
}

/// Answers for `heard` after `pause`. Refuses until `after` has heard something.
async fn node(heard: &Arc<Heard>, pause: Duration, after: Option<Arc<Heard>>) -> String {
    let heard = Arc::clone(heard);
    let told = move |Json(news): Json<QuotaNews>| async move {
        if after.is_some_and(|after| after.parts.load(SeqCst) == 0) {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        sleep(pause).await;
        heard.parts.fetch_add(usize::from(!news.owed.is_empty()), SeqCst);
        Ok(Json(QuotaReceipt { process: "7".to_owned() }))
    };
    served(Router::new().route("/v1/cluster/quota", post(told))).await
}

/// A node of which many accounts are overdrawn: a node that begins is told so in that many parts.
fn overdrawn(parts: u64) -> Arc<Quota> {
    let quota = Quota::new(Config::default(), Arc::new(SystemClock)).shared();
    let accounts = 0..parts * limits::QUOTA_NEWS_ROWS_MAX as u64;
    let spent = |key| Spent { counter: Counter::NewHandles, key, units: 1_000 };
    quota
        .receive(&QuotaNews { spent: accounts.map(spent).collect(), ..QuotaNews::default() })
        .unwrap();
    Arc::new(quota)
}

#[tokio::test]
async fn a_member_that_answers_slowly_keeps_no_other_one_apart() {
    const PARTS: usize = 24;
    let (slow, fast) = (Arc::<Heard>::default(), Arc::<Heard>::default());
    let folder = tempfile::tempdir().unwrap();
    // The fast one answers from then on that the slow one hears what is owed, a part each quarter of a second.
    let pause = limits::CLUSTER_PEER_PATIENCE / 4;
    let b = member("b", 2, node(&fast, Duration::ZERO, Some(Arc::clone(&slow))).await);
    let c = member("c", 3, node(&slow, pause, None).await);
    let peers = peers(folder.path(), vec![b, c]).await;
    let exchange = QuotaExchange::new(overdrawn(PARTS as u64), peers);
    let is_told = async {
        while fast.parts.load(SeqCst) < PARTS {
            sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = exchange.take_in() => unreachable!("it never ends"),
        told = timeout(PATIENCE, is_told) => told.expect("it is told"),
    }
    let heard = slow.parts.load(SeqCst);
    assert!(heard < PARTS, "the fast one waited until the slow one had heard all");
}
