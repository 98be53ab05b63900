//! The description of the API: it is kept in the repository, complete, and true.

pub(crate) mod described;
mod problems;

use std::fs;

use reqwest::Method;
use serde_json::Value;

use crate::{
    harness::Server,
    openapi::described::{KEPT, kept},
    wire::Reply,
};

/// To renew the kept description, run this test with `UPDATE_OPENAPI=1`.
#[tokio::test]
async fn the_kept_description_is_the_one_that_the_server_gives() {
    let server = Server::start().await;
    let url = format!("{}/openapi.json", server.operators);
    let served = server.client.get(url).send().await.unwrap().text().await.unwrap();
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        fs::write(KEPT, served).unwrap();
        return;
    }
    assert!(
        fs::read_to_string(KEPT).unwrap_or_default() == served,
        "docs/openapi.json is not what the server gives; renew it with \
         `UPDATE_OPENAPI=1 cargo test --test integration openapi::the_kept` and look at the difference"
    );
}

#[tokio::test]
async fn each_listener_describes_what_it_serves() {
    let server = Server::start().await;
    let of = async |listener: &str| {
        Reply::to(server.client.get(format!("{listener}/openapi.json"))).await.body
    };
    let (phones, both) = (of(&server.phones).await, of(&server.operators).await);
    let has = |servers: &[Value], port: &str| {
        servers.iter().any(|server| server["url"].as_str().unwrap().ends_with(port))
    };
    for (path, item) in both["paths"].as_object().unwrap() {
        let servers = item["servers"].as_array().unwrap();
        let is_phones = has(servers, ":8080");
        assert_eq!(phones["paths"].get(path).is_some(), is_phones, "{path}");
        assert!(is_phones || has(servers, ":8081"), "{path}");
    }
    assert_eq!(phones["paths"]["/v1/lookup"]["post"], both["paths"]["/v1/lookup"]["post"]);
    assert_eq!(
        (phones["servers"].as_array().unwrap().len(), both["openapi"].as_str()),
        (1, Some("3.1.0"))
    );
    assert!(phones["components"]["securitySchemes"]["operator"].is_null());
}

#[tokio::test]
async fn every_path_of_the_description_is_there() {
    let server = Server::start().await;
    let ben = server.sign_up().await;
    let token = server.operator_token("admin", "admin");
    let described =
        Reply::to(server.client.get(format!("{}/openapi.json", server.operators))).await;
    assert!(described.body["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths = described.body["paths"].as_object().unwrap();
    let mut calls = 0;
    for (path, item) in paths {
        let example =
            path.replace("{handle}", "+14155550123").replace("{verification}", "v_0000000000000");
        let example = example.replace("{account}", "a_0000000000000");
        for method in ["get", "post", "put", "patch", "delete"] {
            let Some(operation) = item.get(method) else {
                continue;
            };
            calls += 1;
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let name = format!("{{{}}}", parameter["name"].as_str().unwrap());
                let is_in_path = parameter["in"] == "path";
                assert_eq!(is_in_path, path.contains(&name), "{path} {name}");
            }
            for (status, response) in operation["responses"].as_object().unwrap() {
                let is_named = response["description"].is_string();
                assert!(is_named, "{path} {status} is not described");
            }
            let listeners: Vec<_> = item["servers"].as_array().unwrap().iter().collect();
            for listener in listeners {
                let is_phones = listener["url"].as_str().unwrap().ends_with("8080");
                let (base, token) = if is_phones {
                    (&server.phones, &ben.token)
                } else {
                    (&server.operators, &token)
                };
                let method: Method = method.to_uppercase().parse().unwrap();
                let request =
                    server.client.request(method, format!("{base}{example}")).bearer_auth(token);
                let reply = request.send().await.unwrap();
                let (status, headers) = (reply.status().as_u16(), reply.headers().clone());
                assert!(headers.contains_key("x-request-id"));
                assert!(![405, 500, 501].contains(&status), "{path} {status}");
                let described = &operation["responses"];
                assert!(
                    described.get(status.to_string()).is_some(),
                    "{path}: {status} is not described"
                );
                if path.ends_with("/log/tail") {
                    continue;
                }
                let text = reply.text().await.unwrap();
                let is_unknown = status == 404 && text.contains("\"not-found\"");
                assert!(!is_unknown, "{path} is not found");
            }
        }
    }
    assert!(calls >= 20, "{calls}");
}

#[test]
fn everything_is_described() {
    let mut faults = Vec::new();
    let schemas = kept()["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        if !is_text(&schema["description"]) {
            faults.push(name.clone());
        }
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
            // A reference that may be null has its description inside.
            let parts = property["oneOf"].as_array().into_iter().flatten().chain([property]);
            if !parts.into_iter().any(|part| is_text(&part["description"])) {
                faults.push(format!("{name}.{field}"));
            }
        }
    }
    let mut ids = Vec::new();
    for (path, item) in kept()["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap().iter().filter(|it| it.0 != "servers") {
            let id = operation["operationId"].as_str().unwrap();
            let is_camel_case = id.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if !is_camel_case || ids.contains(&id) || !is_text(&operation["summary"]) {
                faults.push(format!("{method} {path}: {id}"));
            }
            ids.push(id);
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                if !is_text(&parameter["description"]) {
                    faults.push(format!("{method} {path}: {}", parameter["name"]));
                }
            }
            for (status, response) in operation["responses"].as_object().unwrap() {
                let contents = response["content"].as_object().into_iter().flatten();
                if !is_text(&response["description"])
                    || contents.clone().any(|it| it.1["schema"].is_null())
                {
                    faults.push(format!("{method} {path}: {status}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "not described: {faults:#?}");
    // Links of the code's documentation lead nowhere here.
    assert!(!kept().to_string().contains("[`"));
}

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}
