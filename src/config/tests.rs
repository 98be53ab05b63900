//! Tests of reading the configuration.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::*;
use crate::verification;

fn load_text(text: &str, env: &[(&str, &str)]) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("d.toml");
    fs::write(&file, text).unwrap();
    let env = env.iter().map(|(name, value)| (name.into(), value.into()));
    load(&file, env).map_err(|error| error.to_string())
}

/// The configuration, if nothing is wrong with it.
fn load(
    file: &Path,
    env: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Config, ConfigError> {
    let (config, faults) = load_partly(Some(file), env)?;
    faults.map_or(Ok(config), Err)
}

#[test]
fn the_shipped_file_holds_every_key_with_its_default() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/config/dispatchd.toml");
    let text = fs::read_to_string(shipped).unwrap();
    assert_eq!(load(Path::new(shipped), []).unwrap(), Config::default());
    let tree = |text: &str| toml::from_str::<toml::Table>(text).unwrap();
    let shipped = tree(&text);
    for (section, keys) in tree(&Config::default().to_toml().unwrap()) {
        for key in keys.as_table().unwrap().keys() {
            assert!(shipped[&section].get(key).is_some(), "{section}.{key} is missing");
        }
    }
}

/// The sections that are off by default stand in the file as comments, between two lines of dashes.
#[test]
fn the_shipped_file_s_examples_hold_every_key_and_can_be_used() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/config/dispatchd.toml");
    let text = fs::read_to_string(shipped).unwrap();
    let example = text.split("# ----").nth(1).unwrap().lines().skip(1);
    let example: Vec<_> = example.filter_map(|line| line.strip_prefix("# ")).collect();
    let example = example.join("\n");
    let templates = ["bind_template", "deregister_template"];
    let usable: Vec<_> = example
        .lines()
        .filter(|line| !templates.iter().any(|key| line.starts_with(key)))
        .filter(|line| !line.contains("_env"))
        .collect();
    let config = load_text(&usable.join("\n"), &[]).unwrap();
    let verification::DeliveryMethod::Section(ways) = config.ownership.delivery else {
        panic!("{usable:?}")
    };
    assert!(matches!(ways.mail, verification::DeliveryMethod::Section(_)));
    assert!(matches!(ways.text, verification::DeliveryMethod::Section(_)));
    // Who asks for a key that is none is told which ones there are.
    let refusals = [
        toml::from_str::<verification::MailConfig>("none = 1").unwrap_err().to_string(),
        toml::from_str::<verification::TextConfig>("none = 1").unwrap_err().to_string(),
    ];
    let keys = refusals.iter().flat_map(|text| text.split('`').skip(3).step_by(2));
    assert!(keys.clone().count() > 25, "{refusals:?}");
    for key in keys {
        let is_there = example.lines().any(|line| line.split(" = ").next() == Some(key));
        assert!(is_there, "{key} is missing");
    }
}

#[test]
fn variables_reach_sections_within_sections() {
    let env = [
        ("DISPATCHD_OWNERSHIP__DELIVERY__MAIL__FROM", "codes@example.org"),
        ("DISPATCHD_OWNERSHIP__DELIVERY__MAIL__PORT", "2525"),
        ("DISPATCHD_OWNERSHIP__DELIVERY__MAIL__HOST", "mail.example.org"),
    ];
    let config = load_text("[ownership]\ndelivery = \"outbox\"\n", &env).unwrap();
    let verification::DeliveryMethod::Section(ways) = &config.ownership.delivery else { panic!() };
    let verification::DeliveryMethod::Section(mail) = &ways.mail else { panic!() };
    assert_eq!((mail.host.as_str(), mail.port), ("mail.example.org", Some(2525)));
    assert_eq!(ways.text, verification::DeliveryMethod::Outbox);
    assert_eq!(load_text(&config.to_toml().unwrap(), &[]).unwrap(), config);
}

#[test]
fn a_secret_is_refused_by_name_and_not_repeated() {
    let mail = "DISPATCHD_OWNERSHIP__DELIVERY__MAIL__PASSWORD";
    for (text, env) in [
        ("[ownership.delivery.mail]\nhost = \"a\"\npassword = \"sesame\"\n", None),
        ("[ownership.delivery.text]\nsecret = \"sesame\"\n", None),
        ("[ownership]\ndelivery = { mail = { password = \"sesame\" } }\n", None),
        ("", Some((mail, "sesame"))),
    ] {
        let error = load_text(text, env.as_slice()).unwrap_err();
        let names = ["ownership.delivery.mail.password", "ownership.delivery.text.secret"];
        assert!(names.iter().any(|name| error.contains(name)), "{error}");
        assert!(!error.contains("sesame"), "{error}");
    }
}

#[test]
fn what_is_shown_can_be_read_back() {
    let config = load_text("[log]\nretention = \"90h\"\n[server]\nthreads = 1\n", &[]).unwrap();
    assert_eq!(load_text(&config.to_toml().unwrap(), &[]).unwrap(), config);
}

#[test]
fn the_environment_overrides_the_file() {
    let env = [
        ("DISPATCHD_LOG__DURABILITY", "os"),
        ("DISPATCHD_LOG__RETENTION", "7d"),
        ("DISPATCHD_QUOTA__ENABLED", "false"),
        ("DISPATCHD_SERVER__PHONES", "127.0.0.1:0"),
        ("DISPATCHD_SERVER__DATA", "123"),
        ("DISPATCHD_TOKEN", "not an override"),
        ("PATH", "/bin"),
    ];
    let config = load_text("[log]\nretention = \"3d\"\n", &env).unwrap();
    assert_eq!(config.log.retention, Duration::from_secs(7 * 24 * 3600));
    assert!(!config.quota.enabled);
    assert_eq!(config.server.phones.port(), 0);
    assert_eq!(config.server.data, PathBuf::from("123"));
}

#[test]
fn faults_name_the_key_and_the_place() {
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        ("[log]\n\nretention = \"31d\"\n", &[], &["line 3", "log.retention"]),
        ("[log]\nretention = \"a month\"\n", &[], &["line 2", "retention"]),
        ("[log]\n\n\nretenton = \"1d\"\n", &[], &["line 4", "retenton"]),
        ("[lag]\n", &[], &["line 1", "lag"]),
        (
            "",
            &[("DISPATCHD_LOG__RETENTION", "31d")],
            &["DISPATCHD_LOG__RETENTION", "log.retention"],
        ),
        ("", &[("DISPATCHD_LOG__RETENTON", "3d")], &["DISPATCHD_LOG__RETENTON", "retenton"]),
        ("", &[("DISPATCHD_LAG__X", "3d")], &["DISPATCHD_LAG__X", "lag"]),
        ("", &[("DISPATCHD_QUOTA__ENABLED", "maybe")], &["DISPATCHD_QUOTA__ENABLED", "enabled"]),
        ("[quota]\nrequests_per_minute = 0\n", &[], &["line 2", "quota.requests_per_minute"]),
        ("[server]\nphones = \"here\"\n", &[], &["line 2", "phones"]),
        ("\n[tls]\ncertificate = \"a.pem\"\n", &[], &["line 2", "tls.key is missing"]),
        (
            "",
            &[("DISPATCHD_TLS__KEY", "a.pem")],
            &["DISPATCHD_TLS__KEY", "tls.certificate is missing"],
        ),
        (
            "\n[ownership.delivery.mail]\nhost = \"a\"\n",
            &[],
            &["line 2", "ownership.delivery.mail.from"],
        ),
        (
            "[ownership.delivery.text]\nurl = \"http://example.org\"\n",
            &[],
            &["line 2", "ownership.delivery.text.url", "allow_unencrypted"],
        ),
        (
            "",
            &[("DISPATCHD_OWNERSHIP__DELIVERY__MAIL__PORT", "70000")],
            &["DELIVERY__MAIL__PORT", "ownership.delivery.mail.port"],
        ),
    ];
    for (text, env, parts) in cases {
        let error = load_text(text, env).unwrap_err();
        for part in *parts {
            assert!(error.contains(part), "{error:?} should name {part:?}");
        }
    }
}

#[test]
fn a_value_of_another_type_is_refused_in_plain_words() {
    let port = "DISPATCHD_OWNERSHIP__DELIVERY__MAIL__PORT";
    for (variable, value, said) in [
        ("DISPATCHD_SERVER__THREADS", "many", "string \"many\", expected a whole number from 0 on"),
        ("DISPATCHD_SERVER__THREADS", "-1", "integer `-1`, expected a whole number from 0 on"),
        (port, "70000", "integer `70000`, expected a whole number from 0 to 65535"),
        ("DISPATCHD_QUOTA__ENABLED", "maybe", "string \"maybe\", expected true or false"),
        ("DISPATCHD_SERVER__TRUSTED_PROXIES", "10.0.0.0/8", "expected a list, written as TOML"),
        ("DISPATCHD_LOG__DURABILITY", "none", "`none`, expected `disk` or `os`"),
    ] {
        let error = load_text("", &[(variable, value)]).unwrap_err();
        assert!(error.contains(variable) && error.contains(said), "{error}");
    }
}

#[test]
fn every_fault_is_named_at_once() {
    let text = "[log]\nretention = \"31d\"\nretenton = \"1d\"\n[lag]\na = 1\nb = 2\n[server]\nthreads = 999\nphones = 8080\n\
                [ownership.delivery.mail]\nhost = \"a/b\"\nencryption = \"none\"\nport = \"smtp\"\n\
                [ownership.delivery.text]\nsecret = \"sesame\"\n";
    let env = [
        ("DISPATCHD_REGISTRY__LEASE", "0s"),
        ("DISPATCHD_QUOTA__ENABLED", "maybe"),
        ("DISPATCHD_LOG_RETENTION", "7d"),
        ("dispatchd_log__retention", "7d"),
    ];
    let error = load_text(text, &env).unwrap_err();
    let named = [
        "line 2: log.retention must be at most 30d",
        "line 3: log.retenton: unknown field",
        "line 4: lag: unknown field",
        "line 8: server.threads must be at most",
        "line 9: server.phones: ",
        "line 11: ownership.delivery.mail.host must be",
        "line 12: ownership.delivery.mail.encryption \"none\" is for loopback",
        "line 13: ownership.delivery.mail.port: ",
        "line 15: ownership.delivery.text.secret: a secret does not belong here",
        "line 10: ownership.delivery.mail.from is missing",
        "line 14: ownership.delivery.text.url must be",
        "line 14: ownership.delivery.text.secret_file or secret_env must be set",
        "DISPATCHD_REGISTRY__LEASE: registry.lease must be",
        "DISPATCHD_QUOTA__ENABLED: quota.enabled: ",
        "DISPATCHD_LOG_RETENTION: no key and no command has this variable",
        "dispatchd_log__retention: names of variables are upper case",
    ];
    for part in named {
        assert!(error.contains(part), "{part:?} is not in {error}");
    }
    assert!(!error.contains("sesame"), "{error}");
    assert!(
        error.starts_with(&format!("the configuration has {} faults\n", named.len())),
        "{error}"
    );
    assert_eq!(error.lines().count(), named.len() + 1, "{error}");
}

/// A section names its first fault only, until that is corrected.
#[test]
fn two_values_of_a_section_are_both_named() {
    let text = "[quota]\nnew_handles_per_day = 0\nrequests_per_minute = 0\nsign_ups_per_hour = 0\n";
    let error = load_text(text, &[]).unwrap_err();
    for part in ["line 2", "line 3", "line 4", "the configuration has 3 faults"] {
        assert!(error.contains(part), "{part:?} is not in {error}");
    }
}

#[test]
fn mistaken_variables_are_named_with_the_nearest_right_one() {
    for (variable, value, parts) in [
        ("dispatchd_log__retention", "7d", &["upper case", "DISPATCHD_LOG__RETENTION"][..]),
        ("Dispatchd_Log__Retention", "7d", &["DISPATCHD_LOG__RETENTION"]),
        ("DISPATCHD_LOG_RETENTION", "7d", &["did you mean DISPATCHD_LOG__RETENTION?"]),
        ("DISPATCHD_LOG__RETENTON", "7d", &["did you mean DISPATCHD_LOG__RETENTION?", "retenton"]),
        ("DISPATCHD_KEYS_ROOT_KEY", "/k", &["did you mean DISPATCHD_KEYS__ROOT_KEY?"]),
        (
            "DISPATCHD_OWNERSHIP_DELIVERY_MAIL_HOST",
            "a",
            &["did you mean DISPATCHD_OWNERSHIP__DELIVERY__MAIL__HOST?"],
        ),
        ("DISPATCHD_CONFG", "a.toml", &["did you mean DISPATCHD_CONFIG?"]),
        ("DISPATCHD_TOKENS", "do_x", &["did you mean DISPATCHD_TOKEN?"]),
        ("DISPATCHD_ENTIRELY_ELSE", "x", &["no key and no command has this variable"]),
        (
            "DISPATCHD_SERVER__TRUSTED_PROXIES",
            "10.0.0.0/8",
            &["written as TOML", "trusted_proxies"],
        ),
        ("DISPATCHD_SERVER__PHONES", "localhost:8080", &["IP:port", "server.phones"]),
    ] {
        let error = load_text("", &[(variable, value)]).unwrap_err();
        for part in [&[variable], parts].concat() {
            assert!(error.contains(part), "{error:?} should name {part:?}");
        }
    }
}

#[test]
fn variables_that_are_empty_or_somebody_elses_are_left_alone() {
    let env = [
        ("DISPATCHD_CONFIG", ""),
        ("DISPATCHD_TOKEN", ""),
        ("DISPATCHD_LOG__RETENTION", ""),
        ("DISPATCHD_SMTP_PASSWORD", "named by the file"),
        ("DISPATCHD_PORT", "tcp://10.0.0.7:8080"),
        ("DISPATCHD_PORT_8080_TCP_ADDR", "10.0.0.7"),
        ("DISPATCHD_SERVICE_HOST", "10.0.0.7"),
        ("DISPATCHDX", "not ours"),
    ];
    let text = "[ownership.delivery.mail]\nhost = \"a\"\nfrom = \"a@example.org\"\nuser = \"a\"\n\
                password_env = \"DISPATCHD_SMTP_PASSWORD\"\n";
    assert_eq!(load_text(text, &env).unwrap().log, crate::query_log::Config::default());
    let unnamed = load_text("", &env).unwrap_err();
    assert!(unnamed.contains("DISPATCHD_SMTP_PASSWORD"), "{unnamed}");
}

/// Commands that use no configuration refuse variables that nothing reads, and say nothing of the file.
#[test]
fn variables_are_checked_without_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dispatchd.toml");
    let text = "[ownership.delivery.mail]\nhost = \"a\"\npassword_env = \"DISPATCHD_SMTP_PASSWORD\"\n[log]\nretention = \"no\"\n";
    fs::write(&file, text).unwrap();
    let check = |file: Option<&Path>, variable: &str| {
        let env = [(variable.into(), "x".into()), ("DISPATCHD_TOKEN".into(), "do_x".into())];
        check_variables(file, env).err().map(|error| error.to_string())
    };
    for (variable, meant) in [
        ("DISPATCHD_SERVER_PHONES", "DISPATCHD_SERVER__PHONES"),
        ("DISPATCHD_LOG_DURABILITY", "DISPATCHD_LOG__DURABILITY"),
        ("DISPATCHD_TOKENS", "DISPATCHD_TOKEN"),
        ("DISPATCHD_DEVICE__TOKEN", "DISPATCHD_DEVICE_TOKEN"),
    ] {
        let said = check(None, variable).unwrap();
        assert!(said.ends_with(&format!("did you mean {meant}?")), "{said}");
        assert_eq!(check(Some(&file), variable), Some(said));
    }
    let said = check(None, "DISPATCHD_SMTP_PASSWORD").unwrap();
    assert!(said.contains("no key and no command has this variable"), "{said}");
    for file in [&*file, Path::new("/no/such/file")] {
        assert_eq!(check(Some(file), "DISPATCHD_SERVER__DATA"), None);
    }
    assert_eq!(check(Some(&file), "DISPATCHD_SMTP_PASSWORD"), None);
}

/// A key that is missing beside others of its section is the fault of whoever set those.
#[test]
fn a_missing_key_is_blamed_on_who_set_its_section() {
    let host = [("DISPATCHD_OWNERSHIP__DELIVERY__MAIL__HOST", "x")];
    for text in ["", "[log]\nretention = \"7d\"\n"] {
        let error = load_text(text, &host).unwrap_err();
        assert!(
            error.starts_with("environment variable DISPATCHD_OWNERSHIP__DELIVERY__MAIL__HOST")
        );
        assert!(error.contains("ownership.delivery.mail.from is missing"), "{error}");
    }
    let text = "[ownership.delivery.mail]\nfrom = \"nobody\"\n";
    let error = load_text(text, &host).unwrap_err();
    assert!(error.contains("line 2: ownership.delivery.mail.from must be an address"), "{error}");
}

#[test]
fn spans_are_shown_as_the_file_writes_them() {
    let shown = Config::default().to_toml().unwrap();
    for line in
        ["retention = \"30d\"", "retention = \"400d\"", "grace = \"20s\"", "lease = \"14d\""]
    {
        assert!(shown.lines().any(|shown| shown == line), "{line} is not in {shown}");
    }
}
