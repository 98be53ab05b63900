//! A node that is asked for keys and answers what it likes, over HTTP.

use std::sync::atomic::{AtomicU32, Ordering};

use axum::{Json, Router, routing::post};
use data_encoding::HEXLOWER;

use super::*;
use crate::cluster::{
    peers::tests::{member, peers, served},
    report::shown,
    sealing::{self, KeyOf, Purpose},
};

#[tokio::test]
async fn a_node_that_says_more_for_ever_is_asked_a_few_times_in_a_round() {
    let folder = tempfile::tempdir().unwrap();
    let mut own = Node::at("a", START);
    own.identity = Identity { node: NodeId(1), cluster: ClusterId([1; 16]), ..own.identity };
    own.start();
    let asked = Arc::new(AtomicU32::new(0));
    let (count, clock) = (Arc::clone(&asked), Arc::clone(&own.run().clock));
    // Each answer has a new key.
    let answer = move |Json(request): Json<HourKeysRequest>| async move {
        let began = clock.now();
        let hour = Hour::from_number(count.fetch_add(1, Ordering::SeqCst));
        let key = KeyOf::Hour(NodeId(2), hour);
        let purpose = Purpose { cluster: ClusterId([1; 16]), key, node: NodeId(1) };
        let receiving = HEXLOWER.decode(request.receiving.as_bytes()).unwrap();
        let sealed = sealing::seal(purpose, &receiving.try_into().unwrap(), &[1; 32]).unwrap();
        let (node, hour, sealed) = (shown(NodeId(2)), hour.number(), HEXLOWER.encode(&sealed));
        let keys = vec![SealedHourKey { node, hour, began, sealed }];
        Json(HourKeysAnswer { time: began, keys, more: true, proven: HourRanges::default() })
    };
    let b =
        member("b", 2, served(Router::new().route("/v1/cluster/hour-keys", post(answer))).await);
    let peers = peers(folder.path(), vec![b.clone()]).await;
    let exchange = HourKeyExchange::new(own.run().keys.clone(), peers);
    exchange.pull(&b).await;
    let most = limits::CLUSTER_HOUR_KEYS_ANSWERS_MAX;
    assert_eq!(asked.load(Ordering::SeqCst) as usize, most);
    assert_eq!(own.held().len(), most);
}
