//! What must hold after each step, by true time.
//!
//! Trusted time may be ahead of true time as far as its rules allow: by small steps, by a probation, or since the first
//! start. A record or device may then end earlier by as much. It must not end earlier for any other reason.
//!
//! While the clock lags and nobody has confirmed it, nothing can know how old a record is. So "too long" is judged only
//! when trusted time or the wall clock has reached true time.

use std::{collections::HashSet, time::Duration};

use dispatchd::{
    clock::{ManualClock, Timestamp},
    envelope::KeyFiles,
    query_log::{Filter, LogReader, LogRow, Order, Record},
};
use reqwest::Method;

use super::{
    rules::{Fault, Span, Stamp, Violation, seconds},
    world::World,
};
use crate::wire::{Reply, call};

/// Hours are destroyed as a whole, by their oldest record.
const GRAIN: i64 = 3_600;

impl World<'_> {
    /// Checks everything.
    pub(super) async fn check(&mut self) -> Result<(), Violation> {
        self.check_devices().await?;
        self.check_routes().await?;
        self.check_log().await
    }

    /// Checks what the server says of its logs.
    pub(super) async fn check_soundness(&self) -> Result<(), Violation> {
        let calls = [
            ("/v1/audit/verify", "sound"),
            ("/v1/log/verify", "sound"),
            ("/v1/log/forgotten", "proved"),
        ];
        for (path, field) in calls {
            let said = self.read(path, "application/json").await;
            if said.body[field] != true {
                return Err(Violation::new(Fault::Unsound, format!("{path}: {}", said.text)));
            }
        }
        Ok(())
    }

    async fn check_devices(&mut self) -> Result<(), Violation> {
        let forget_after = seconds(self.history.forget_after);
        for at in 0..self.phones.len() {
            let phone = &self.phones[at];
            if phone.is_gone {
                continue;
            }
            let path = "/v1/devices/me";
            let me = call(self.server(), Method::GET, path, Some(&phone.device.token), None).await;
            let silent = phone.stamp.age(&self.now);
            match me.status {
                200 => {}
                401 if silent + phone.stamp.older_by() >= forget_after => {
                    self.phones[at].is_gone = true;
                    self.figures.devices_removed += 1;
                }
                401 => return Err(self.violation(Fault::DeviceLost, silent, &phone.stamp)),
                // The registry opens its store anew after a failed commit, which needs space.
                _ => assert!(!self.was_done(&me, 200)),
            }
        }
        Ok(())
    }

    async fn check_routes(&mut self) -> Result<(), Violation> {
        self.sign_up_if_alone().await;
        for at in 0..self.phones.len() {
            let handle = self.phones[at].handle.clone();
            let Some(is_blue) = self.look_up(&handle).await else { continue };
            let phone = &self.phones[at];
            let silent = phone.silent(&self.now);
            if phone.is_gone && is_blue {
                return Err(self.violation(Fault::Imessage, silent, &phone.stamp));
            }
            let must_be_blue = silent < seconds(self.history.lease);
            if !phone.is_gone && must_be_blue && !is_blue {
                return Err(self.violation(Fault::Sms, silent, &phone.stamp));
            }
            self.figures.leases_over += usize::from(!phone.is_gone && !is_blue);
        }
        Ok(())
    }

    async fn check_log(&mut self) -> Result<(), Violation> {
        let (found, held) = (self.found().await, self.held());
        let retention = seconds(self.history.retention);
        let (trusted, wall) = (self.now.trusted_ahead, self.wall_ahead());
        for asked in &self.asked {
            let (stamp, age) = (&asked.stamp, asked.stamp.age(&self.now));
            let (is_found, is_held) =
                (found.contains(&asked.request), held.contains(&asked.request));
            let until_expiry = retention - GRAIN - age;
            if stamp.older_by() < until_expiry && !is_held {
                return Err(self.violation(Fault::DestroyedEarly, age, stamp));
            }
            let latest = trusted.max(wall);
            // By its stamp, as long as nothing says that the stamp is wrong.
            let may_be_hidden = !self.now.is_followed && latest - stamp.ahead >= until_expiry;
            if stamp.older_by().max(latest) < until_expiry && !is_found && !may_be_hidden {
                return Err(self.violation(Fault::RecordLost, age, stamp));
            }
            let is_expired = age > retention + GRAIN + stamp.younger_by;
            let is_shown = is_found && stamp.is_known(&self.now, latest);
            let is_kept = is_held && stamp.is_known(&self.now, trusted);
            if is_expired && (is_shown || is_kept) {
                return Err(self.violation(Fault::ReadableTooLong, age, stamp));
            }
        }
        let answered = self.asked.len();
        self.asked.retain(|asked| held.contains(&asked.request));
        self.figures.records_destroyed += answered - self.asked.len();
        Ok(())
    }

    async fn read(&self, path: &str, format: &str) -> Reply {
        loop {
            let call = self.server().operator(&self.operator, path).header("accept", format);
            let reply = Reply::to(call).await;
            // Reading threads have the lowest priority: earlier searches may still end.
            if reply.body["code"] != "overloaded" {
                assert_eq!(reply.status, 200, "{reply:?}");
                return reply;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The requests of all records that an operator finds.
    async fn found(&self) -> HashSet<String> {
        let path = "/v1/log?kind=lookup&order=asc&limit=1000000";
        let reply = self.read(path, "application/x-ndjson").await;
        let request = |line: &str| {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            record["request"].as_str().map(str::to_owned)
        };
        reply.text.lines().filter_map(request).collect()
    }

    /// The requests of all records that can be decrypted, however old they are.
    fn held(&self) -> HashSet<String> {
        let (data, log) = self.log_directory();
        let keys = KeyFiles::new(&data.join("keys"), None);
        let (clock, lenient) = (ManualClock::at(Timestamp::EPOCH), Duration::ZERO);
        let reader = LogReader::open_read_only(&log, keys, clock, lenient).unwrap();
        let rows = reader.search(&Filter::default(), Order::Asc, None);
        let request = |row| match row {
            Ok((_, LogRow { record: Record::Lookup(lookup), .. })) => {
                Some(lookup.request.to_string())
            }
            Ok(_) => None,
            Err(error) => panic!("{error}"),
        };
        rows.filter_map(request).collect()
    }

    fn violation(&self, fault: Fault, seconds: i64, stamp: &Stamp) -> Violation {
        let (trusted, wall) = (self.now.trusted_ahead, self.wall_ahead());
        let followed = self.now.is_followed;
        let (age, stamped, older) = (Span(seconds), Span(stamp.ahead), Span(stamp.older_by()));
        let what = format!(
            "age {age}; stamped {stamped} ahead, since then up to {older} ahead; now trusted time is {} ahead and the wall \
             clock {}, followed: {followed}",
            Span(trusted),
            Span(wall)
        );
        Violation::new(fault, what)
    }
}
