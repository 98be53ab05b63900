//! A record of the log as a row of a table.

use crate::{
    api::LogRow,
    cli::output::{Column, TableRow, cell},
    cli::text::seconds,
    handle::Handle,
    query_log::Record,
    tables::records::texts,
    vocabulary::Route,
};

impl TableRow for LogRow {
    const COLUMNS: &'static [Column] =
        &[("TIME", 20), ("HANDLE", 19), ("EVENT", 19), ("REASON", 16)];
    /// The columns of an export.
    const WIDE: &'static [Column] = &[
        ("AT", 27),
        ("KIND", 8),
        ("REQUEST", 15),
        ("ACCOUNT", 15),
        ("DEVICE", 15),
        ("IP", 15),
        ("HANDLE", 24),
        ("ROUTE", 8),
        ("REASON", 16),
        ("STATUS", 6),
        ("TOOK_US", 7),
        ("CHANGE", 19),
        ("CAUSE", 14),
        ("COUNT", 5),
    ];

    fn cells(&self, wide: bool) -> Vec<String> {
        if wide {
            return texts(self).map(cell).collect();
        }
        let (handle, event, reason) = match &self.record {
            Record::Lookup(it) => {
                let event = it.route.map_or("refused", Route::code);
                (it.handle.as_ref(), event.to_owned(), it.reason.code())
            }
            Record::Change(it) => (it.handle.as_ref(), it.kind.code().to_owned(), it.cause.code()),
            Record::Refusals(it) => (None, format!("{} refused", it.count), it.code.code()),
        };
        vec![seconds(self.at), cell(handle.map(Handle::canonical)), event, reason.to_owned()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::output::{Form, RowPrinter, Style},
        tables::records::names,
    };

    const LOOKUP: &[u8] = br#"{"at":"2026-11-23T08:41:07.123456Z","kind":"lookup","request":"r_0000000000002","account":"a_0000000000002","device":"d_0000000000002","ip":"192.0.2.1","handle":"+14155550123","route":"sms","reason":"device-removed","status":200,"took_us":12}"#;
    const CHANGE: &[u8] = br#"{"at":"2026-11-23T08:41:08.123456Z","kind":"change","change":"handle-bound","handle":"alexandra.hamilton@example.com","device":"d_0000000000002","account":"a_0000000000002","cause":"proof"}"#;
    const REFUSALS: &[u8] = br#"{"at":"2026-11-23T08:41:09.123456Z","kind":"refusals","reason":"token-invalid","status":401,"count":170000}"#;

    fn printed(form: Form, style: Style) -> String {
        let mut out = Vec::new();
        let mut rows = RowPrinter::new(&mut out, form, style);
        for line in [LOOKUP, CHANGE, REFUSALS] {
            rows.print(&serde_json::from_slice::<LogRow>(line).unwrap()).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    const PIPE: Style = Style { columns: None, colour: false };

    #[test]
    fn a_change_and_a_lookup_share_the_main_columns() {
        let golden = "\
TIME                  HANDLE               EVENT                REASON
2026-11-23T08:41:07Z  +14155550123         sms                  device-removed
2026-11-23T08:41:08Z  alexandra.hamilton@example.com  handle-bound         proof
2026-11-23T08:41:09Z  -                    170000 refused       token-invalid
";
        assert_eq!(printed(Form::default(), PIPE), golden);
        let golden = "\
TIME                  HANDLE               EVENT                REASON
2026-11-23T08:41:07Z  +14155550123         sms                  device-removed
2026-11-23T08:41:08Z  alexandra.hamilton…  handle-bound         proof
2026-11-23T08:41:09Z  -                    170000 refused       token-invalid
";
        let at_80 = printed(Form::default(), Style { columns: Some(80), ..PIPE });
        assert_eq!(at_80, golden);
        assert!(at_80.lines().all(|line| line.chars().count() <= 80));
        // Half of the space that is left is the handle's.
        let at_102 = printed(Form::default(), Style { columns: Some(102), ..PIPE });
        assert!(at_102.contains("  alexandra.hamilton@example.com  handle-bound         proof\n"));
        assert!(at_102.contains("  +14155550123                    sms                  device-"));
    }

    #[test]
    fn every_column_is_one_of_an_export() {
        let heads: Vec<_> = LogRow::WIDE.iter().map(|(name, _)| name.to_lowercase()).collect();
        assert!(names().eq(heads.iter().map(String::as_str)), "{heads:?}");
        let wide = printed(Form { wide: true, ..Form::default() }, PIPE);
        let lines: Vec<_> = wide.lines().collect();
        let cell = |row: usize, name: &str| {
            let at = lines[0].split_whitespace().position(|head| head == name).unwrap();
            lines[row].split_whitespace().nth(at).unwrap()
        };
        let all = |row, names: [&str; 4]| names.map(|name| cell(row, name)).join(" ");
        assert_eq!(
            all(1, ["AT", "ROUTE", "REASON", "CHANGE"]),
            "2026-11-23T08:41:07.123456Z sms device-removed -"
        );
        assert_eq!(all(2, ["ROUTE", "REQUEST", "CHANGE", "CAUSE"]), "- - handle-bound proof");
        assert_eq!(all(3, ["KIND", "STATUS", "COUNT", "IP"]), "refusals 401 170000 -");
    }

    #[test]
    fn colour_and_json_are_what_was_asked_for() {
        let coloured = printed(Form::default(), Style { colour: true, ..PIPE });
        assert!(
            coloured.contains("\x1b[32msms\x1b[0m") && coloured.contains("\x1b[2mhandle-bound")
        );
        assert!(!coloured.lines().next().unwrap().contains('\x1b'), "{coloured}");
        let json = printed(Form { json: true, wide: false }, Style { columns: None, colour: true });
        assert_eq!(json.as_bytes(), [LOOKUP, CHANGE, REFUSALS, b""].join(&b"\n"[..]));
    }
}
