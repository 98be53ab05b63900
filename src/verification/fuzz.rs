//! What people, mail servers, gateways and operators write, and rows, as fuzz targets give them.

use super::{
    code::Code,
    link_code::Issuer,
    send_policy::{Level, PersonSends},
    session::Session,
    template::Template,
    typed,
};

pub use super::{mail::fuzz_replies as replies, text::fuzz_retry_after as retry_after};

/// Reads `bytes` as a code that somebody typed, as a template, and as each kind of row.
///
/// # Panics
/// If the digits of a code are read as another one, or a filled template lacks the code.
pub fn texts_and_rows(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(code) = typed::digits(&text) {
        assert!(code.len() == 6 && code.bytes().all(|digit| digit.is_ascii_digit()));
        assert!(typed::digits(&code).as_ref() == Some(&code), "a code is read as another one");
    }
    if let Ok(template) = Template::new(&text, "Blue") {
        let code = Code::random();
        assert!(template.fill(&code).contains(code.expose()), "a message without its code");
    }
    drop(postcard::from_bytes::<Session>(bytes));
    drop(postcard::from_bytes::<Issuer>(bytes));
    drop(postcard::from_bytes::<PersonSends>(bytes));
    drop(postcard::from_bytes::<Level>(bytes));
}
