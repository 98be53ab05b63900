//! Strangers begin as many verifications as they can, so that nobody else can begin one.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{numbers, run::Run, site::Site, table::Row};

const ATTACK: &str = "exhaustion";
/// Requests under way at once.
const AT_ONCE: usize = 16;
const HONEST: u64 = 10;

/// Fills the table, first without tokens, then with those of fresh accounts, while honest phones claim their numbers.
pub(super) fn play(run: &Run) -> anyhow::Result<Vec<Row>> {
    let sessions = run.of(400, 4_000);
    run.block_on(async {
        let site = Site::start(&[], |config| config.ownership.sessions = sessions as usize).await?;
        let mut proven = Vec::new();
        for at in 0..HONEST {
            let phone = site.api.sign_up(numbers::ipv4(at)).await?;
            site.api.prove(&phone, &numbers::number(4_000 + at, at)).await?;
            proven.push(phone);
        }
        let ask = |at| {
            let number = numbers::number(400_000 + at, at);
            let api = &site.api;
            async move { api.deregister(&number, numbers::ipv4(1_000 + at)).await }
        };
        let flood = stream::iter(0..2 * sessions).map(ask).buffer_unordered(AT_ONCE);
        flood.try_for_each(|_| async { Ok(()) }).await?;
        let without_tokens = fresh_refused(&site, 0).await?;
        let ask = |at| {
            let number = numbers::number(500_000 + at, at);
            let api = &site.api;
            async move {
                let phone = api.sign_up(numbers::ipv4(20_000 + at)).await?;
                api.claim(&phone, &number).await
            }
        };
        let flood = stream::iter(0..2 * sessions).map(ask).buffer_unordered(AT_ONCE);
        flood.try_for_each(|_| async { Ok(()) }).await?;
        let with_tokens = fresh_refused(&site, HONEST).await?;
        let mut refused = 0;
        for (at, phone) in (0..).zip(&proven) {
            let number = numbers::number(6_000 + at, at);
            refused += u64::from(site.api.claim(phone, &number).await?.status != 202);
        }
        site.stop().await?;
        let row = |figure: &str, refused| Row::at_most(ATTACK, figure, refused, 0);
        Ok(vec![
            row("no tokens; honest claims of fresh phones refused (of 10)", without_tokens),
            row("fresh accounts; honest claims of proven phones refused (of 10)", refused),
            Row::shown(
                ATTACK,
                "fresh accounts; honest claims of fresh phones refused (of 10)",
                with_tokens.to_string(),
            ),
        ])
    })
}

/// How many fresh phones get no code.
async fn fresh_refused(site: &Site, from: u64) -> anyhow::Result<u64> {
    let mut refused = 0;
    for at in from..from + HONEST {
        let phone = site.api.sign_up(numbers::ipv4(100 + at)).await?;
        let claimed = site.api.claim(&phone, &numbers::number(7_000 + at, at)).await?;
        refused += u64::from(claimed.status != 202);
    }
    Ok(refused)
}
