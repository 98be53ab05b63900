//! One mail with a code: its headers and its text.

use chrono::DateTime;
use lettre::{
    Address, Message as Letter,
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

const SUBJECT: &str = "Subject:";
const BIND: &str = "Subject: Your {service} code

Your {service} code is {code}

Enter it where you asked for it, within {minutes} minutes. Tell it to nobody.

If you did not ask for a code, somebody else entered your address. Without the code nothing happens.
";
const DEREGISTER: &str = "Subject: Take your address off {service}

The code that takes your address off {service} is {code}

Enter it where you asked for it, within {minutes} minutes. Your address then belongs to no device until you prove it
again. Tell the code to nobody.

If you did not ask for this, somebody else entered your address. Without the code nothing happens.
";

/// Subject and text of a mail.
#[derive(Clone, Debug)]
pub(super) struct LetterTemplate {
    subject: String,
    text: Template,
}

/// What every mail has in common.
pub(super) struct LetterHead {
    from: Mailbox,
    templates: ByPurpose<LetterTemplate>,
}

/// A mail, ready to be handed over.
pub(super) struct Written {
    pub(super) from: Address,
    pub(super) to: Address,
    /// With headers, as it goes over the wire.
    pub(super) content: Zeroizing<Vec<u8>>,
}

/// No mail can be written to this address: what is wrong, without naming it.
#[derive(Debug)]
pub(super) struct Unwritable(pub(super) &'static str);

impl LetterTemplate {
    /// A line with `Subject:`, an empty line, the text.
    pub(super) fn parse(text: &str, service: &str) -> Result<Self, String> {
        let form = "must begin with a line `Subject: …` and an empty line";
        let (head, text) = text.split_once("\n\n").ok_or(form)?;
        let subject = head.strip_prefix(SUBJECT).ok_or(form)?.trim();
        if subject.is_empty() || subject.contains('\n') {
            return Err(form.into());
        }
        // A notification on a locked screen shows the subject to whoever holds the phone.
        if subject.contains("{code}") {
            return Err("has {code} in its subject; it belongs in the text".into());
        }
        let subject = fill_all_but_code(subject, service)?;
        Ok(Self { subject, text: Template::new(text, service)? })
    }

    pub(super) fn built_in_bind(service: &str) -> Result<Self, String> {
        Self::parse(BIND, service)
    }

    pub(super) fn built_in_deregister(service: &str) -> Result<Self, String> {
        Self::parse(DEREGISTER, service)
    }
}

impl LetterHead {
    /// Mails from `from`.
    pub(super) fn new(from: &str, templates: ByPurpose<LetterTemplate>) -> Result<Self, String> {
        let from = from.parse();
        let from = from.map_err(|_| "must be an address, or a name with an <address>")?;
        Ok(Self { from, templates })
    }

    /// The mail that carries `message`'s code. The same message makes the same mail: id and date are its own.
    pub(super) fn write(&self, message: &Message) -> Result<Written, Unwritable> {
        let to: Address =
            message.to.canonical().parse().map_err(|_| Unwritable("address-not-for-mail"))?;
        let template = self.templates.get(message.purpose);
        let id = format!("<{}@{}>", message.id, self.from.email.domain());
        let secs = i64::try_from(message.at.as_secs()).unwrap_or(i64::MAX);
        let date = DateTime::from_timestamp(secs, 0).unwrap_or_default().to_rfc2822();
        let text = template.text.fill(&message.code);
        let letter = Letter::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to.clone()))
            .subject(&template.subject)
            .message_id(Some(id))
            .raw_header(header("Date", date))
            // RFC 3834: no holiday notice and no list answers this.
            .raw_header(header("Auto-Submitted", "auto-generated".into()))
            .singlepart(SinglePart::plain(text.to_string()))
            .map_err(|_| Unwritable("mail-not-written"))?;
        let content = Zeroizing::new(letter.formatted());
        Ok(Written { from: self.from.email.clone(), to, content })
    }

    /// The domain of the sender.
    pub(super) fn domain(&self) -> &str {
        self.from.email.domain()
    }
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

    fn head(bind: &str) -> LetterHead {
        let templates = ByPurpose {
            bind: LetterTemplate::parse(bind, "Blue").expect("good"),
            deregister: LetterTemplate::built_in_deregister("Blue").expect("good"),
        };
        LetterHead::new("Blue codes <codes@example.org>", templates).expect("good")
    }

    fn text_of(written: &Written) -> String {
        String::from_utf8(written.content.to_vec()).expect("ASCII")
    }

    #[test]
    fn a_mail_has_the_headers_that_it_must_and_is_the_same_each_time() {
        let message = message("ann@example.net", Purpose::Bind);
        let head = head(BIND);
        let text = text_of(&head.write(&message).expect("written"));
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
        assert_eq!(text, text_of(&head.write(&message).expect("written")));
    }

    #[test]
    fn purposes_differ_and_letters_beyond_ascii_travel_as_ascii() {
        let head = head("Subject: Dein Schlüssel für {service}\n\nGrüße: {code}\n");
        let bind = text_of(&head.write(&message("ann@example.net", Purpose::Bind)).expect("w"));
        assert!(bind.is_ascii() && bind.contains("=?utf-8?"), "{bind}");
        let other = message("ann@example.net", Purpose::Deregister);
        let other = text_of(&head.write(&other).expect("written"));
        assert!(other.contains("Subject: Take your address off Blue\r\n"), "{other}");
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
            let why = LetterTemplate::parse(text, "Blue").expect_err(text);
            assert!(why.contains(part), "{text:?}: {why}");
        }
    }
}
