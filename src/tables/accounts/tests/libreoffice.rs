//! Files that LibreOffice 7.4 saved.
//!
//! `exported.csv` is an export. The others are what `soffice --headless --convert-to csv` made of it (`saved.csv`) and of
//! the same export with `--for-spreadsheet`: also with semicolons (the filter options `59,34,76`), and with tabs in UTF-16
//! (`9,34,65535`).

use super::*;

fn stage_bytes(bytes: &[u8]) -> Result<Staged, StageError> {
    let import = Import::new();
    let path = import.file("");
    fs::write(&path, bytes).unwrap();
    let staged = import.stage(&path)?;
    assert_eq!(accounts(&staged.path), exported());
    Ok(staged)
}

fn exported() -> Vec<TransferAccount> {
    let import = Import::new();
    accounts(&import.stage(&import.file(include_str!("libreoffice/exported.csv"))).unwrap().path)
}

#[test]
fn an_export_for_spreadsheets_comes_back_whole() {
    assert_eq!(exported().iter().map(|account| account.claims.len()).sum::<usize>(), 5);
    stage_bytes(include_bytes!("libreoffice/saved-for-spreadsheet.csv")).unwrap();
}

#[test]
fn numbers_that_lost_their_plus_sign_are_refused() {
    let saved = stage_bytes(include_bytes!("libreoffice/saved.csv"));
    let Err(StageError::BadRows(bad)) = saved else { panic!("{saved:?}") };
    assert_eq!(bad.total(), 3);
    assert!(faults(&bad).iter().all(|(_, said)| said.contains("write it with +")), "{bad:?}");
}

#[test]
fn other_separators_and_encodings_are_named() {
    for (bytes, what) in [
        (&include_bytes!("libreoffice/saved-semicolons.csv")[..], "separated by semicolons"),
        (&include_bytes!("libreoffice/saved-utf-16.csv")[..], "UTF-16"),
    ] {
        let error = stage_bytes(bytes).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
}
