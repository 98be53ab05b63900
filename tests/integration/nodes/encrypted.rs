//! Nodes that reach each other over https only.

use std::{fs, path::Path};

use reqwest::Method;

use super::trio::{Trio, good, said};
use crate::{harness::client, recipes::authority::Authority};

/// The nodes with certificates for `localhost`. None runs.
async fn with_certificates(authority: &Authority) -> Trio {
    let mut trio = Trio::stopped(&[]).await;
    let [ca, cert, key] =
        [&authority.ca, &authority.cert, &authority.key].map(|it| it.to_str().unwrap());
    for node in &mut trio.nodes {
        let address = node.operators.replace("http://127.0.0.1", "https://localhost");
        node.add_env(&[
            ("TLS__CERTIFICATE", cert),
            ("TLS__KEY", key),
            ("TLS__LISTENERS", "operators"),
            ("CLUSTER__ADDRESS", &address),
            ("CLUSTER__MEMBERS_CA", ca),
        ]);
        // The commands' own, which is another setting.
        node.set_process_env(&[("DISPATCHD_CA", ca)]);
        node.client = client().tls_certs_only([authority.certificate()]).build().unwrap();
    }
    trio
}

/// Starts a node. Its operators' listener speaks https.
async fn spawn(trio: &mut Trio, node: usize) {
    let node = &mut trio.nodes[node];
    node.spawn().await;
    node.operators = node.operators.replace("http://127.0.0.1", "https://localhost");
}

#[tokio::test]
async fn nodes_join_over_https_and_trust_whom_members_ca_names() {
    let [folder, elsewhere] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (authority, other) = (Authority::new(folder.path()), Authority::new(elsewhere.path()));
    let mut trio = with_certificates(&authority).await;
    trio.found().await;
    trio.nodes[0].operators =
        trio.nodes[0].operators.replace("http://127.0.0.1", "https://localhost");

    let token = trio.invite("b");
    let empty = Path::new("");
    for (ca, why) in [(&*other.ca, "its certificate is not trusted"), (empty, "UnknownIssuer")] {
        trio.nodes[1].add_env(&[("CLUSTER__MEMBERS_CA", ca.to_str().unwrap())]);
        let refused = trio.join(1, &token);
        assert!(!refused.status.success());
        let said = said(&refused);
        assert!(
            said.contains(why) && said.contains("cluster.members_ca names the authority"),
            "{said}"
        );
    }
    trio.nodes[1].add_env(&[("CLUSTER__MEMBERS_CA", authority.key.to_str().unwrap())]);
    let said_of_key = said(&trio.join(1, &token));
    assert!(said_of_key.contains("contains no certificate"), "{said_of_key}");
    trio.nodes[1].add_env(&[("CLUSTER__MEMBERS_CA", authority.ca.to_str().unwrap())]);
    // The certificate is for another name.
    let right = trio.nodes[0].operators.clone();
    trio.nodes[0].operators = right.replace("localhost", "127.0.0.1");
    let by_address = said(&trio.join(1, &token));
    assert!(by_address.contains("its certificate is not trusted"), "{by_address}");
    trio.nodes[0].operators = right;

    // Nothing of this has used the invite up.
    good(&trio.join(1, &token));
    spawn(&mut trio, 1).await;
    let ann = trio.nodes[0].sign_up().await;
    let me = trio.nodes[1].phone(Method::GET, "/v1/devices/me").bearer_auth(&ann.token);
    assert_eq!(me.send().await.unwrap().status(), 200);
    let admin = trio.nodes[0].operator_token("adm", "admin");
    trio.until_status(1, &admin, |output, report| {
        let members = report["members"].as_array();
        let is_https = |member: &serde_json::Value| {
            member["address"].as_str().unwrap().starts_with("https://localhost:")
        };
        output.status.success()
            && members.is_some_and(|all| all.len() == 2 && all.iter().all(is_https))
    })
    .await;

    // A node that trusts the wrong authority goes on, and says whom it cannot ask.
    assert!(trio.nodes[1].stop().await.success());
    trio.nodes[1].add_env(&[("CLUSTER__MEMBERS_CA", other.ca.to_str().unwrap())]);
    spawn(&mut trio, 1).await;
    trio.until_status(1, &admin, |output, report| {
        let error = report["members"][0]["error"].as_str().unwrap_or_default();
        output.status.code() == Some(1) && error.contains("cluster.members_ca names the authority")
    })
    .await;
    assert!(fs::read_to_string(trio.nodes[1].output_file()).unwrap().contains("does not answer"));
}
