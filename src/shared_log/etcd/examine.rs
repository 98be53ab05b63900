//! Asks the etcd members for what [`Examined`] tells.

use futures_util::future::join_all;

use super::{
    Etcd,
    examined::{Examined, ExaminedMember, RaisedAlarm},
    metrics::MetricsClient,
    roll::{ALARMS, Known},
};
use crate::shared_log::interface::EngineError;

impl Etcd {
    /// Asks all members for their state and their metrics. It writes nothing.
    ///
    /// # Errors
    /// If no member answers, or one refuses this node or cannot be used.
    pub async fn examine(&self) -> Result<Examined, EngineError> {
        let roll = self.fresh_roll().await?;
        let metrics = MetricsClient::new(&self.members.config);
        let members = join_all(roll.known.iter().map(|known| examine(known, &metrics))).await;
        let alarms = alarms(&roll.known);
        Ok(Examined { fence: self.fence(), members, silent: roll.silent, alarms })
    }
}

async fn examine(
    Known { url, version, status }: &Known,
    metrics: &Result<MetricsClient, String>,
) -> ExaminedMember {
    let read = match metrics {
        Ok(client) => client.read(url).await,
        Err(error) => Err(error.clone()),
    };
    let told = u64::try_from(status.quota_bytes).ok().filter(|bytes| *bytes > 0);
    ExaminedMember {
        url: url.clone(),
        version: status.version.clone(),
        has_fresh_reads: version.has_fresh_reads(),
        has_leader: !status.errors.iter().any(|error| error.contains("no leader")),
        file_bytes: u64::try_from(status.file_bytes).unwrap_or(0),
        used_bytes: u64::try_from(status.used_bytes).unwrap_or(0),
        quota_bytes: told.or_else(|| read.as_ref().ok()?.quota_bytes),
        sync_p99: read.map(|read| read.sync_p99),
    }
}

/// Each member tells of the alarms of all, such as `memberID:1 alarm:NOSPACE `.
fn alarms(known: &[Known]) -> Vec<RaisedAlarm> {
    let mut raised = Vec::new();
    for error in known.iter().flat_map(|known| &known.status.errors) {
        let Some((name, what, to_do)) = ALARMS.into_iter().find(|it| error.contains(it.0)) else {
            continue;
        };
        let digits = error.split_once("memberID:").map_or("", |(_, rest)| rest.trim_start());
        let end = digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len());
        let id = digits[..end].parse().unwrap_or(0);
        let member = known.iter().find(|known| known.id() == id);
        let member = member.map_or_else(|| format!("{id:x}"), |known| known.url.clone());
        let alarm = RaisedAlarm { member, name, what, to_do };
        if !raised.contains(&alarm) {
            raised.push(alarm);
        }
    }
    raised
}

#[cfg(test)]
mod tests {
    use super::{
        super::messages::{Header, Status},
        *,
    };

    fn known(id: u64, errors: &[&str]) -> Known {
        let status = Status {
            header: Some(Header { cluster: 7, member: id }),
            version: "3.4.23".to_owned(),
            file_bytes: 20,
            errors: errors.iter().map(ToString::to_string).collect(),
            used_bytes: 10,
            quota_bytes: 0,
        };
        Known::new(&format!("http://m{id}"), status).unwrap()
    }

    #[test]
    fn an_alarm_of_which_several_members_tell_is_one() {
        let of_one = "memberID:1 alarm:NOSPACE ";
        let told = [known(1, &[of_one]), known(2, &[of_one, "memberID:255 alarm:CORRUPT "])];
        let raised: Vec<_> = alarms(&told).into_iter().map(|it| (it.member, it.name)).collect();
        let expected = [("http://m1".to_owned(), "NOSPACE"), ("ff".to_owned(), "CORRUPT")];
        assert_eq!(raised, expected);
        assert_eq!(alarms(&[known(1, &["etcdserver: no leader"])]), []);
    }

    #[tokio::test]
    async fn a_member_is_examined_also_if_its_metrics_cannot_be_read() {
        let unread = Err("no files of TLS".to_owned());
        let member = examine(&known(1, &["etcdserver: no leader"]), &unread).await;
        assert!(!member.has_leader && !member.has_fresh_reads);
        assert_eq!((member.file_bytes, member.used_bytes, member.quota_bytes), (20, 10, None));
        assert_eq!(member.sync_p99, Err("no files of TLS".to_owned()));
        assert!(examine(&known(1, &[]), &unread).await.has_leader);
    }
}
