//! `limits.md`: every constant of `src/limits.rs`, with its value.

use std::collections::BTreeMap;

use syn::{BinOp, Expr, Item, Lit};

use super::{code, compare, grouped, head, section, table, wrapped};
use crate::repository::text;

/// The start of a comment that names the group of the constants below it.
const GROUP: &str = "// Group: ";

/// A number, or a span in milliseconds.
#[derive(Clone, Copy)]
struct Value {
    number: u128,
    is_span: bool,
}

type Constants = BTreeMap<String, syn::ItemConst>;

/// The value of a constant's expression, in a build without tests.
fn value(expr: &Expr, known: &Constants) -> Value {
    let number = |number| Value { number, is_span: false };
    match expr {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(integer) => number(integer.base10_parse().unwrap()),
            _ => panic!("a limit is a number"),
        },
        Expr::Paren(inner) => value(&inner.expr, known),
        Expr::Cast(inner) => value(&inner.expr, known),
        Expr::Binary(binary) => {
            let (left, right) =
                (value(&binary.left, known).number, value(&binary.right, known).number);
            number(match binary.op {
                BinOp::Add(_) => left + right,
                BinOp::Sub(_) => left - right,
                BinOp::Mul(_) => left * right,
                BinOp::Div(_) => left / right,
                BinOp::Shl(_) => left << right,
                _ => panic!("an operator that is not known here"),
            })
        }
        // Every condition is `cfg!(test)`.
        Expr::If(choice) => match &*choice.else_branch.as_ref().expect("a value for both").1 {
            Expr::Block(block) => match &block.block.stmts[..] {
                [syn::Stmt::Expr(expr, None)] => value(expr, known),
                _ => panic!("a block with one value"),
            },
            _ => panic!("a block"),
        },
        Expr::Path(path) => {
            let name = path.path.segments.last().unwrap().ident.to_string();
            value(&known[&name].expr, known)
        }
        Expr::Call(call) => {
            let Expr::Path(function) = &*call.func else { panic!("a function") };
            let amount = value(&call.args[0], known).number;
            let factor = match &*function.path.segments.last().unwrap().ident.to_string() {
                "from_mins" => 60_000,
                "from_secs" => 1_000,
                "from_millis" => 1,
                other => panic!("{other} is not known here"),
            };
            Value { number: amount * factor, is_span: true }
        }
        _ => panic!("an expression that is not known here"),
    }
}

/// The value as people write it.
fn written(name: &str, value: Value) -> String {
    if value.is_span {
        let days = value.number / 86_400_000;
        let is_days = value.number.is_multiple_of(86_400_000) && days > 1;
        return match value.number {
            _ if name == "CLOCK_LATEST" => "2084-01-01".to_owned(),
            _ if is_days => format!("{} days", grouped(days)),
            millis if millis.is_multiple_of(3_600_000) => format!("{} h", millis / 3_600_000),
            millis if millis.is_multiple_of(60_000) => format!("{} min", millis / 60_000),
            millis if millis.is_multiple_of(1_000) => format!("{} s", millis / 1_000),
            millis => format!("{millis} ms"),
        };
    }
    let units = [(1_u128 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit =
        units.iter().find(|(size, _)| value.number >= *size && value.number.is_multiple_of(*size));
    match unit {
        Some((size, unit)) if name.contains("BYTES") => format!("{} {unit}", value.number / size),
        _ => grouped(value.number),
    }
}

/// The doc comment of a constant in one line, without the links of rustdoc.
fn about(attrs: &[syn::Attribute]) -> String {
    let mut lines = Vec::new();
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("doc")) {
        let syn::Meta::NameValue(meta) = &attr.meta else { continue };
        let Expr::Lit(literal) = &meta.value else { continue };
        let Lit::Str(text) = &literal.lit else { continue };
        lines.push(text.value().trim().to_owned());
    }
    lines.join(" ").replace("[`", "`").replace("`]", "`")
}

/// The groups of constants: the title of each, and its rows.
fn groups() -> Vec<(String, Vec<Vec<String>>)> {
    let source = text("src/limits.rs");
    let file = syn::parse_file(&source).unwrap();
    let known: Constants = file
        .items
        .into_iter()
        .filter_map(|item| match item {
            Item::Const(constant) => Some((constant.ident.to_string(), constant)),
            _ => None,
        })
        .collect();
    let described = known.iter().map(|(name, constant)| {
        let value = written(name, value(&constant.expr, &known));
        (name.clone(), (value, about(&constant.attrs)))
    });
    let mut constants: BTreeMap<_, _> = described.collect();
    let mut groups: Vec<(String, Vec<_>)> = Vec::new();
    for line in source.lines() {
        if let Some(title) = line.strip_prefix(GROUP) {
            groups.push((title.to_owned(), Vec::new()));
        } else if let Some(rest) = line.strip_prefix("pub const ")
            && let Some((name, _)) = rest.split_once(':')
        {
            let (value, about) = constants.remove(name).expect("each constant is parsed");
            let (_, rows) = groups.last_mut().expect("each constant is in a group");
            rows.push(vec![code(name), value, about]);
        }
    }
    assert!(constants.is_empty(), "{constants:?}");
    groups
}

const PHONES: &str = "| what | limit |
| --- | --- |
| handles in a batch | 1,000, in a body of 512 KiB |
| a code | valid for 10 minutes and 5 attempts |
| the next code for a verification | after 30 seconds, then 60, and so on up to an hour |
| codes to one person, of one account in a day | 10, 50 |
| codes from one network, to one calling code, to everybody in a day | 2,000, 20,000, 100,000 |
| devices of an account | 20 (`registry.devices_per_account`) |
| handles of an account | 64 |
| new handles that an account may ask for in a day | 100 (`quota.new_handles_per_day`); asking again within 30 days is free |
| new handles beyond those for an account that holds a handle | 10,000 (`quota.import_handles`), regained over 120 days |
| new handles from a network in a day | 100,000 (`quota.network_new_handles_per_day`) |
| those of accounts without a handle from a network | 20,000 (`quota.network_unproven_handles_per_day`) |
| those of all accounts without a handle | 200,000 (`quota.unproven_new_handles_per_day`) |
| changes of an account in an hour | 600 |
| open link codes of an account | 3, valid for 10 minutes |

A restart resets the limits of lookups, sign-ups and changes. New handles, codes and attempts stay.";

const STRANGERS: &str = "Every answered lookup makes a record, and a sign-up needs no token. Global limits bound what strangers
write: with the defaults less than 1 GB an hour in all. Beyond a limit the answer is 429 `rate-limited`, and `limit` names it.

| what | limit | keys | `limit` |
| --- | --- | --- | --- |
| lookups of an account, repeats too | 50,000 a day | `quota.lookups_per_day` | `lookups` |
| lookups from a network (an IPv4 address, an IPv6 /48) | 40,000 a minute | `quota.network_lookups_per_minute` | `network-lookups` |
| lookups of all accounts that hold no handle | 80,000 a minute | `quota.unproven_lookups_per_minute` | `unproven-lookups` |
| sign-ups from a network | 600 an hour | `quota.sign_ups_per_hour` | `sign-ups` |
| sign-ups from all networks | 36,000 an hour | `quota.all_sign_ups_per_hour` | `all-sign-ups` |
| verification sessions, half of them for deregistrations | 50,000 at once | `ownership.sessions` | (503 `overloaded`) |
| refused lookups of a network that are recorded one by one | 6,000 a minute | | |
| the same of all networks | 20,000 a minute | `quota.refusals_recorded_per_minute` | |

- An e-mail address counts once, and once more for each 64 bytes of it.
- Whoever asks little is answered while others ask as much as they can. The upper half of a limit of many is for those who have
  used less of their own limit. Such limits are those of a network, of all accounts without a handle, and of all sign-ups.
- Refused lookups beyond the last limit are answered as before. The log counts them: one record a minute for each reason, of
  the kind `refusals`. See [the log](../operators/log.md#refusals-that-are-only-counted).
- [Metrics](metrics.md) count what exceeded a limit, by `limit`.
- Behind a proxy that `server.trusted_proxies` does not name, all phones are one network.";

/// The values of limits and keys that the two fixed tables name, each with a part of its row.
const NAMED: &[(&str, &str)] = &[
    ("BATCH_HANDLES_MAX", "| handles in a batch | 1,000,"),
    ("BATCH_BODY_BYTES_MAX", "in a body of 512 KiB |"),
    ("CODE_LIFETIME", "valid for 10 min"),
    ("CODE_ATTEMPTS_MAX", " 5 attempts"),
    ("CODE_RESEND_PAUSE", "after 30 s"),
    ("CODE_RESEND_PAUSE_MAX", "up to an h"),
    ("CODES_PER_PERSON_MAX", "| 10, 50 |"),
    ("CODE_SENDS_PER_ACCOUNT_MAX", "10, 50 |"),
    ("CODES_PER_NETWORK", "| 2,000, 20,000, 100,000 |"),
    ("CODES_PER_COUNTRY", "2,000, 20,000, 100,000 |"),
    ("CODES_OVERALL", "20,000, 100,000 |"),
    ("HANDLES_PER_ACCOUNT_MAX", "| handles of an account | 64 |"),
    ("CHANGES_PER_HOUR_MAX", "in an hour | 600 |"),
    ("LINK_CODES_PER_ACCOUNT_MAX", "open link codes of an account | 3,"),
    ("REFUSALS_RECORDED_PER_MINUTE_MAX", "one by one | 6,000 a minute"),
    ("RECORD_UNIT_BYTES", "each 64 bytes"),
];

#[test]
fn the_fixed_tables_name_the_values_of_the_code() {
    let values: BTreeMap<_, _> = groups()
        .into_iter()
        .flat_map(|(_, rows)| rows)
        .map(|row| (row[0].trim_matches('`').to_owned(), row[1].clone()))
        .collect();
    for (name, part) in NAMED {
        let value = values[*name].replace("1 h", "an h");
        assert!(part.contains(&value), "{name} is {value}, and the table says {part}");
        assert!(PHONES.contains(part) || STRANGERS.contains(part), "{part}");
    }
    let config = dispatchd::config::Config::default();
    let (quota, registry) = (config.quota, config.registry);
    for (key, value) in [
        ("registry.devices_per_account", registry.devices_per_account),
        ("quota.new_handles_per_day", quota.new_handles_per_day as usize),
        ("quota.import_handles", quota.import_handles as usize),
        ("quota.network_new_handles_per_day", quota.network_new_handles_per_day as usize),
        ("quota.network_unproven_handles_per_day", quota.network_unproven_handles_per_day as usize),
        ("quota.unproven_new_handles_per_day", quota.unproven_new_handles_per_day as usize),
        ("quota.lookups_per_day", quota.lookups_per_day as usize),
        ("quota.network_lookups_per_minute", quota.network_lookups_per_minute as usize),
        ("quota.unproven_lookups_per_minute", quota.unproven_lookups_per_minute as usize),
        ("quota.sign_ups_per_hour", quota.sign_ups_per_hour as usize),
        ("quota.all_sign_ups_per_hour", quota.all_sign_ups_per_hour as usize),
        ("ownership.sessions", config.ownership.sessions),
        ("quota.refusals_recorded_per_minute", quota.refusals_recorded_per_minute as usize),
    ] {
        let rows = PHONES.lines().chain(STRANGERS.lines());
        let row = rows.filter(|line| line.starts_with('|')).find(|line| line.contains(key));
        let value = format!("| {}", grouped(value as u128));
        assert!(row.is_some_and(|row| row.contains(&value)), "{key} is {value}: {row:?}");
    }
}

fn page() -> String {
    let about = "The limits of the service: those that phones meet, what strangers can write to the disk, and every fixed limit \
                 with its reason. Limits that can be configured are in [the reference of keys](keys.md#quota).";
    let mut page = head("Limits", about);
    section(&mut page, 2, "What phones meet", PHONES);
    section(&mut page, 2, "What strangers can write to the disk", STRANGERS);
    let fixed = "These constants are in `src/limits.rs`. Some are the default, the least or the greatest value of a key.";
    section(&mut page, 2, "Fixed limits", &wrapped(fixed));
    for (title, rows) in groups() {
        section(&mut page, 3, &title, &table(&["limit", "value", "meaning and reason"], rows));
    }
    page
}

#[test]
fn limits() {
    compare("limits.md", &page());
}
