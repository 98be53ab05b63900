//! `dispatchd ask HANDLE`: asks as a phone does.

use std::{
    io::{Write, stdout},
    path::PathBuf,
    time::Duration,
};

use anyhow::anyhow;
use clap::Args;
use dispatchd_client::{
    Answer, Batch, Error, HandleReason, Item, Options, Patience, Phone, Platform, ProblemCode,
    Route, Server, SignUp, Together, Token,
};
use reqwest::StatusCode;
use tokio::time::timeout;

use super::{
    address::{origin, reach},
    answers::UNREADABLE,
    client::block_on,
    config::ConfigFile,
    errors::{Interrupted, UsageError, as_options},
    listener::Listener,
    output::{Style, paint, print_json},
    text::{cut, visible, width, wrap},
    trust::{Authorities, Trust},
    variables::token,
};
use crate::{api::wrong_region, cli::note::note, handle::HandleError};

/// The variable that holds a device's token.
const TOKEN: &str = "DISPATCHD_DEVICE_TOKEN";
/// Spaces between a handle and what is said of it.
const GAP: usize = 2;
/// An answer does not wait longer for the device to be signed out.
const SIGN_OUT_MAX: Duration = Duration::from_secs(5);
/// The name of a device that exists for one question.
const DEVICE_NAME: &str = "dispatchd ask";

/// What the command does to the server.
pub(super) const COSTS: &str = "A phone has a device token. Without one, the command signs up a device, asks, and signs it out again. That counts \
     against the limits of sign-ups and of new handles. The query log records each question.";

#[derive(Args)]
pub(super) struct Ask {
    /// Phone numbers or e-mail addresses; several are one batch
    #[arg(required = true, value_name = "HANDLE")]
    handles: Vec<String>,
    /// Country of phone numbers without a calling code, such as US
    #[arg(long, value_name = "CC")]
    region: Option<String>,
    /// The phones' address of the server to ask [default: server.phones of the configuration]
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    authorities: Authorities,
    /// A file that holds a device's token; without it the variable DISPATCHD_DEVICE_TOKEN does
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigFile,
    /// Print one JSON object a line: each item of the answer, then `together` if there are several
    #[arg(long)]
    json: bool,
}

impl Ask {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (address, trust) = self.server()?;
        let token = token(self.token_file.as_deref(), TOKEN)?;
        let asking = Asking { handles: self.handles, region: self.region, address, trust };
        let answer = block_on(async {
            match token {
                Some(token) => asking.ask(&asking.server()?.phone(Token::new(&token)?)).await,
                None => asking.ask_once(&asking.server()?).await,
            }
        })?;
        match self.json {
            true => print_lines(&answer)?,
            false => print(&answer, &asking.region, &mut stdout().lock(), Style::stdout(false))?,
        }
        let wrong = answer.answers.iter().filter(|item| matches!(item, Item::Refused(_)));
        match wrong.count() {
            0 => Ok(()),
            1 => Err(UsageError("one text is no handle".to_owned()).into()),
            wrong => Err(UsageError(format!("{wrong} texts are no handles")).into()),
        }
    }

    /// The address of the server to ask.
    fn server(&self) -> anyhow::Result<(String, Trust)> {
        self.config.check_named()?;
        let (server, trust) =
            Listener::Phones.server(self.server.clone(), &self.authorities, &self.config)?;
        Ok((origin(&server, &Listener::Phones.example())?, trust))
    }
}

/// What is asked of whom.
struct Asking {
    handles: Vec<String>,
    region: Option<String>,
    address: String,
    trust: Trust,
}

impl Asking {
    fn server(&self) -> anyhow::Result<Server> {
        // A person waits, and can ask again: one attempt, for as long as the machine of the server is there.
        let (deadline, attempt) = (Duration::MAX, Duration::MAX);
        let patience = Patience { attempts: 1, deadline, attempt, ..Patience::default() };
        let http = Some(reach(&self.address, &self.trust)?);
        Ok(Server::new(&self.address, Options { patience, http, ..Options::default() })?)
    }

    async fn ask(&self, phone: &Phone) -> anyhow::Result<Batch> {
        let answer = phone.look_up_batch(&self.handles, self.region.as_deref()).await;
        answer.map_err(|error| self.failed(error))
    }

    /// Signs up a device, asks, and signs it out whatever came of that, also after Ctrl-C.
    async fn ask_once(&self, server: &Server) -> anyhow::Result<Batch> {
        let device = SignUp { name: Some(DEVICE_NAME.to_owned()), ..SignUp::new(Platform::Other) };
        let signed_up = server.sign_up(&device).await.map_err(|error| self.failed(error))?;
        let phone = server.phone(signed_up.token);
        let answer = tokio::select! {
            answer = self.ask(&phone) => answer,
            _ = tokio::signal::ctrl_c() => Err(Interrupted.into()),
        };
        let failed = tokio::select! {
            ended = timeout(SIGN_OUT_MAX, phone.sign_out()) => match ended {
                Ok(Ok(())) => return answer,
                Ok(Err(error)) => format!("{:#}", self.failed(error)),
                Err(_) => "the server is silent".to_owned(),
            },
            _ = tokio::signal::ctrl_c() => "interrupted".to_owned(),
        };
        note!("dispatchd: the device of this question could not be signed out: {failed}");
        answer
    }

    /// A failed call, as an error of the command.
    fn failed(&self, error: Error) -> anyhow::Error {
        let address = &self.address;
        match error {
            Error::Refused(problem) => match problem.code {
                ProblemCode::RequestInvalid | ProblemCode::HandleInvalid => {
                    UsageError(problem.detail).into()
                }
                ProblemCode::NotFound => anyhow!(Listener::Phones.mistaken(address)),
                _ => anyhow!("{problem}"),
            },
            Error::Foreign { status, redirect, .. } => {
                let status = StatusCode::from_u16(status).unwrap_or_default();
                let redirect = || redirect.unwrap_or_else(|| "another path".to_owned());
                anyhow!(Listener::Phones.foreign(address, status, redirect))
            }
            Error::NoAnswer(_) => Listener::Phones.unanswered(address, &self.trust, error),
            Error::Unreadable | Error::NotAHandle(_) => anyhow!(UNREADABLE),
        }
    }
}

/// Each item, then what the group can use.
fn print_lines(answer: &Batch) -> anyhow::Result<()> {
    answer.answers.iter().try_for_each(print_json)?;
    match answer.answers.len() {
        0 | 1 => Ok(()),
        _ => print_json(&serde_json::json!({"together": answer.together})),
    }
}

fn print(
    answer: &Batch,
    region: &Option<String>,
    out: &mut impl Write,
    style: Style,
) -> anyhow::Result<()> {
    let name = |item: &Item| match item {
        Item::Answer(answer) => visible(&answer.handle),
        Item::Refused(refused) => visible(&refused.input),
    };
    let widest = answer.answers.iter().map(|item| width(&name(item))).max().unwrap_or(0);
    // The other half of a line is for what is said.
    let widest = style.columns.map_or(widest, |columns| widest.min(columns / 2));
    let indent = " ".repeat(widest + GAP);
    for item in &answer.answers {
        let (route, said) = match item {
            Item::Answer(answer) => (answer.route.as_str(), sentence(answer)),
            Item::Refused(refused) => ("refused", refusal(&refused.error.reason, region)),
        };
        let (before, after) = paint(route, style.colour);
        let shown = cut(&name(item), widest);
        let space = indent.len() - width(&shown);
        let said = wrap(&said, style.columns.map(|columns| columns - indent.len()), 0);
        let said = said.replace('\n', &format!("\n{indent}"));
        writeln!(out, "{before}{shown}{:space$}{said}{after}", "")?;
    }
    if answer.answers.len() > 1 {
        let together = match &answer.together {
            Together::Imessage => "blue (imessage): every member is",
            Together::Sms => "green (sms): every member is",
            Together::None => "none: a member has no route",
            Together::Mixed => "mixed: some are blue, some are green",
            Together::Unknown(route) => &format!("{} (unknown to this version)", visible(route)),
        };
        writeln!(out, "together: {together}")?;
    }
    Ok(out.flush()?)
}

/// `blue (imessage), good for 1h`.
fn sentence(answer: &Answer) -> String {
    let colour = match &answer.route {
        Route::Imessage => "blue (imessage)",
        Route::Sms => "green (sms)",
        Route::None => "none (no live device, and no text message goes to an address)",
        Route::Unknown(route) => &format!("{} (unknown to this version)", visible(route)),
    };
    let reuse = humantime::format_duration(Duration::from_secs(answer.expires_in));
    format!("{colour}, may be reused for {reuse}")
}

fn refusal(reason: &HandleReason, region: &Option<String>) -> String {
    let known = HandleError::ALL.iter().find(|error| error.reason() == reason.as_str());
    let Some(&error) = known else { return format!("no handle: {}", visible(reason.as_str())) };
    if let Some(wrong) = wrong_region(region, error) {
        return format!("no handle: {}", as_options(&wrong.to_string()));
    }
    let hint = match error {
        HandleError::NeedsRegion => "; give --region, such as US",
        _ => "",
    };
    format!("no handle: {error}{hint}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn printed(answers: serde_json::Value, together: &str, colour: bool) -> String {
        on(Style { columns: None, colour }, answers, together)
    }

    fn on(style: Style, answers: serde_json::Value, together: &str) -> String {
        let answer = json!({"answers": answers, "together": together});
        let mut out = Vec::new();
        let region = Some("UK".to_owned());
        print(&serde_json::from_value(answer).unwrap(), &region, &mut out, style).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_handle_has_a_line_and_a_group_one_more() {
        let blue = json!({"input": "+1 415 555 0123", "handle": "+14155550123", "route": "imessage",
                          "subject": "x", "expires_in": 3600});
        assert_eq!(
            printed(json!([blue]), "imessage", false),
            "+14155550123  blue (imessage), may be reused for 1h\n"
        );
        assert!(printed(json!([blue]), "imessage", true).starts_with("\x1b[34m+1415"));
        let green = json!({"input": "+447700900123", "handle": "+447700900123", "route": "sms", "expires_in": 300});
        let wrong = json!({"input": "555\n", "error": {"code": "handle-invalid", "reason": "needs-region"}});
        let golden = "\
+14155550123   blue (imessage), may be reused for 1h
+447700900123  green (sms), may be reused for 5m
555\\n          no handle: a phone number without a country calling code needs a region; give --region, such as US
together: none: a member has no route
";
        assert_eq!(printed(json!([blue, green, wrong]), "none", false), golden);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let address = format!("{}@例子.example", "a".repeat(60));
        let named = |handle: &str| json!({"input": handle, "handle": handle, "route": "sms", "expires_in": 300});
        let error = json!({"code": "handle-invalid", "reason": "unknown-country"});
        let wrong = json!({"input": "555", "error": error});
        let style = Style { columns: Some(60), colour: false };
        let golden = "\
aaaaaaaaaaaaaaaaaaaaaaaaaaaaa…  green (sms), may be reused
                                for 5m
b@例子.example                  green (sms), may be reused
                                for 5m
555                             no handle: --region: \"UK\" is
                                not the two letters of a
                                country (ISO 3166-1
                                alpha-2), such as US
together: none: a member has no route
";
        let answers = json!([named(&address), named("b@例子.example"), wrong]);
        assert_eq!(on(style, answers, "none"), golden);
    }
}
