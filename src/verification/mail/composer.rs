//! Composes the mail that carries a code.

use chrono::DateTime;
use lettre::{
    Address, Message as LettreMail,
    address::Envelope,
    message::{
        Mailbox, SinglePart,
        header::{HeaderName, HeaderValue},
    },
};
use zeroize::Zeroizing;

use super::super::{
    delivery::Message,
    template::{ByPurpose, Template, fill_all_but_code},
};

/// The templates that are used where the configuration names no file.
pub(super) const BUILT_IN: ByPurpose<&str> = ByPurpose {
    bind: "Subject: Your {service} code

Your {service} code is {code}

Enter it where you requested it, within {minutes} minutes. Share it with nobody.

If you did not request a code, somebody else entered your address. You need not do anything.
",
    deregister: "Subject: Remove your address from {service}

The code that removes your address from {service} is {code}

Enter it where you requested it, within {minutes} minutes. Then no device has your address until you prove it again.
Share the code with nobody.

If you did not request this, somebody else entered your address. You need not do anything.
",
};

#[derive(Clone, Debug)]
pub(super) struct MailTemplate {
    subject: String,
    text: Template,
}

pub(super) struct Composer {
    from: Mailbox,
    templates: ByPurpose<MailTemplate>,
}

/// A mail and its envelope addresses.
pub(super) struct ComposedMail {
    pub(super) from: String,
    pub(super) to: String,
    /// Headers and text, as SMTP transmits them.
    pub(super) content: Zeroizing<Vec<u8>>,
}

impl MailTemplate {
    /// Parses a line with `Subject:`, an empty line and the text.
    pub(super) fn parse(text: &str, service: &str) -> Result<Self, String> {
        let form = "must begin with a line `Subject: …` and an empty line";
        let (head, text) = text.split_once("\n\n").ok_or(form)?;
        let subject = head.strip_prefix("Subject:").ok_or(form)?.trim();
        if subject.is_empty() || subject.contains('\n') {
            return Err(form.into());
        }
        // A notification on a locked screen shows the subject to whoever holds the phone.
        if subject.contains("{code}") {
            return Err("has {code} in its subject; move it into the text".into());
        }
        let subject = fill_all_but_code(subject, service)?;
        Ok(Self { subject, text: Template::new(text, service)? })
    }
}

impl Composer {
    /// A composer of mails from `from`: an address, or a name with an address in angle brackets.
    pub(super) fn new(from: &str, templates: ByPurpose<MailTemplate>) -> Result<Self, String> {
        let from = from.parse();
        let from = from.map_err(|_| "must be an address, or a name with an <address>")?;
        Ok(Self { from, templates })
    }

    /// Composes the mail with the code of `message`. Id and date are those of the message, so that every attempt sends the
    /// same mail. The error does not contain the address.
    pub(super) fn compose(&self, message: &Message) -> Result<ComposedMail, &'static str> {
        let to = address_of(&message.to.canonical()).ok_or("address-not-for-mail")?;
        let template = self.templates.get(message.purpose);
        let id = format!("<{}@{}>", message.id, self.domain());
        let secs = i64::try_from(message.at.as_secs()).unwrap_or(i64::MAX);
        let date = DateTime::from_timestamp(secs, 0).unwrap_or_default().to_rfc2822();
        let text = template.text.fill(&message.code);
        let envelope = Envelope::new(Some(self.from.email.clone()), vec![to.clone()]);
        let envelope = envelope.map_err(|_| "mail-not-composed")?;
        let mail = LettreMail::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to.clone()))
            // Otherwise the library derives it from the header, and refuses more addresses than this server accepts.
            .envelope(envelope)
            .subject(&template.subject)
            .message_id(Some(id))
            .raw_header(header("Date", date))
            // RFC 3834: neither vacation replies nor mailing lists answer such a mail.
            .raw_header(header("Auto-Submitted", "auto-generated".into()))
            .singlepart(SinglePart::plain(text.to_string()))
            .map_err(|_| "mail-not-composed")?;
        let content = Zeroizing::new(mail.formatted());
        Ok(ComposedMail { from: self.from.email.to_string(), to: to.to_string(), content })
    }

    pub(super) fn domain(&self) -> &str {
        self.from.email.domain()
    }
}

/// The address of a handle. The library's parser refuses some characters that RFC 6532 allows, such as `…` and emoji; a
/// canonical handle needs no second parser. None: it could break out of its line or its angle brackets.
fn address_of(canonical: &str) -> Option<Address> {
    let (local, domain) = canonical.rsplit_once('@')?;
    let breaks_out = |c: char| c.is_control() || c.is_whitespace() || "<>@\"\\".contains(c);
    let is_safe = !local.is_empty() && !canonical.replacen('@', "", 1).contains(breaks_out);
    (is_safe && domain.is_ascii()).then(|| Address::new_dangerous(local, domain))
}

fn header(name: &'static str, value: String) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Timestamp,
        handle::Handle,
        ids::{MessageId, VerificationId},
        verification::{Code, Purpose},
    };

    fn message(to: &str, purpose: Purpose) -> Message {
        Message {
            id: MessageId::from_bits(8),
            to: Handle::from_canonical(to).expect("canonical"),
            code: Code::random(),
            verification: VerificationId::from_bits(7),
            purpose,
            at: Timestamp::from_secs(1_795_423_267),
        }
    }

    fn composer(bind: &str) -> Composer {
        let templates = ByPurpose {
            bind: MailTemplate::parse(bind, "Blue").expect("good"),
            deregister: MailTemplate::parse(BUILT_IN.deregister, "Blue").expect("good"),
        };
        Composer::new("Blue codes <codes@example.org>", templates).expect("good")
    }

    fn text_of(mail: &ComposedMail) -> String {
        String::from_utf8(mail.content.to_vec()).expect("UTF-8")
    }

    #[test]
    fn a_mail_has_the_required_headers_and_is_the_same_each_time() {
        let message = message("ann@example.net", Purpose::Bind);
        let composer = composer(BUILT_IN.bind);
        let text = text_of(&composer.compose(&message).expect("written"));
        for line in [
            "From: \"Blue codes\" <codes@example.org>\r\n",
            "To: ann@example.net\r\n",
            "Subject: Your Blue code\r\n",
            "Message-ID: <m_000000000000g@example.org>\r\n",
            "Date: Mon, 23 Nov 2026 08:41:07 +0000\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "Content-Type: text/plain; charset=utf-8\r\n",
            &format!("\r\nYour Blue code is {}\r\n", message.code.expose()),
            "within 10 minutes",
        ] {
            assert!(text.contains(line), "{line:?} is missing in {text}");
        }
        assert_eq!(text, text_of(&composer.compose(&message).expect("written")));
    }

    #[test]
    fn purposes_differ_and_non_ascii_text_is_encoded_as_ascii() {
        let composer = composer("Subject: Dein Schlüssel für {service}\n\nGrüße: {code}\n");
        let bind =
            text_of(&composer.compose(&message("ann@example.net", Purpose::Bind)).expect("w"));
        assert!(bind.is_ascii() && bind.contains("=?utf-8?"), "{bind}");
        let other = message("ann@example.net", Purpose::Deregister);
        let other = text_of(&composer.compose(&other).expect("written"));
        assert!(other.contains("Subject: Remove your address from Blue\r\n"), "{other}");
    }

    #[test]
    fn an_address_beyond_ascii_stands_in_the_header_as_it_is() {
        let composer = composer(BUILT_IN.bind);
        for to in
            ["cat\u{2026}123@example.com", "\u{1F600}@example.com", "jörg@xn--bcher-kva.example"]
        {
            let mail = composer.compose(&message(to, Purpose::Bind)).expect("written");
            assert_eq!(mail.to, to);
            let text = text_of(&mail);
            assert!(text.contains(&format!("\r\nTo: {to}\r\n")), "{text}");
            assert!(text.replace(to, "").is_ascii(), "{text}");
        }
    }

    #[test]
    fn no_address_breaks_out_of_its_line() {
        for text in [
            "a b@example.com",
            "a\r\nb@example.com",
            "a>@example.com",
            "a@b@example.com",
            "a\u{2028}b@example.com",
            "@example.com",
            "a@bücher.example",
            "a\"@example.com",
        ] {
            assert_eq!(address_of(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_template_needs_a_subject_and_a_code() {
        for (text, part) in [
            ("Hello {code}", "Subject"),
            ("Subject:\n\n{code}", "Subject"),
            ("Subject: a\nBcc: b@example.org\n\n{code}", "Subject"),
            ("Subject: a\n\nno code", "{code}"),
            ("Subject: {code}\n\n{code}", "subject"),
            ("Subject: {name}\n\n{code}", "{name}"),
        ] {
            let why = MailTemplate::parse(text, "Blue").expect_err(text);
            assert!(why.contains(part), "{text:?}: {why}");
        }
    }
}
