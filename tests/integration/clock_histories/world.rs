//! A server on a machine whose true time is known, and the people who use it.

use std::{fs, path::Path, sync::Arc, time::Duration};

use dispatchd::{
    clock::{Clock as _, ClockStatus, Machine as _, ManualClock, SystemClock, Timestamp},
    config::Config,
    operators::Role,
};
use reqwest::Method;
use serde_json::json;

use super::{
    rules::{Asked, Fault, Figures, Now, Phone, Violation, seconds, seconds_between},
    steps::{DAY, HOUR, History, MINUTE, Step},
};
use crate::{
    disk_full::SmallDisk,
    harness::{Server, add_operator},
    timed::Timed,
    wire::{Reply, call},
};

/// No clock is wrong by more than this many seconds.
const WRONG_MAX: i64 = 12 * 365 * 24 * 3_600;
/// By the rules of trusted time a wall clock may move it by this much without a confirmation, ...
const SMALL: i64 = 3_600;
/// ... and forward by this much after a reboot.
const PROBATION: i64 = 7 * 24 * 3_600;

/// See the module.
pub(super) struct World<'a> {
    pub(super) history: &'a History,
    pub(super) timed: Timed,
    disk: &'a SmallDisk,
    pub(super) now: Now,
    /// Whether the machine was rebooted and trusted time has not followed the wall clock since.
    is_on_probation: bool,
    pub(super) is_full: bool,
    pub(super) operator: String,
    pub(super) phones: Vec<Phone>,
    pub(super) asked: Vec<Asked>,
    /// Numbers that were given out.
    pub(super) numbers: u64,
    pub(super) figures: Figures,
}

impl<'a> World<'a> {
    pub(super) async fn start(history: &'a History, disk: &'a SmallDisk) -> Self {
        let data = disk.path.join("data");
        let truth = SystemClock.now();
        let clock = ManualClock::at(truth);
        if let Some(by) = history.wrong_by {
            clock.set_synchronised(false);
            clock.set_wall(moved(truth, by));
        }
        let set = |config: &mut Config| {
            config.log.retention = history.retention;
            config.registry.lease = history.lease;
            config.registry.forget_after = history.forget_after;
            config.keys.reserve = 1 << 20;
        };
        let timed = Timed::on(&data, clock, set).await;
        let now = Now {
            truth,
            awake: Duration::ZERO,
            trusted_ahead: history.wrong_by.unwrap_or(0),
            is_followed: true,
            boots: 0,
            is_confirmed: history.wrong_by.is_none(),
        };
        let operator = add_operator(&data, "admin", Role::Admin);
        let mut world = Self {
            history,
            timed,
            disk,
            now,
            is_on_probation: false,
            is_full: false,
            operator,
            phones: Vec::new(),
            asked: Vec::new(),
            numbers: 0,
            figures: Figures::default(),
        };
        for _ in 0..3 {
            world.sign_up().await;
        }
        world
    }

    /// The wall clock less true time.
    pub(super) fn wall_ahead(&self) -> i64 {
        seconds_between(self.machine().wall(), self.now.truth)
    }

    fn machine(&self) -> &Arc<ManualClock> {
        &self.timed.clock
    }

    pub(super) async fn apply(&mut self, step: Step) -> Result<(), Violation> {
        match step {
            Step::Advance { span, asleep } => self.advance(span, asleep).await,
            Step::Pause { span, wall_stands } => self.pause(span, wall_stands),
            Step::Set { by } => {
                let wrong_by = (self.wall_ahead() + by).clamp(-WRONG_MAX, WRONG_MAX);
                self.machine().set_synchronised(false);
                self.machine().set_wall(moved(self.now.truth, wrong_by));
            }
            Step::Synchronise => self.synchronise(),
            Step::Desynchronise => self.machine().set_synchronised(false),
            Step::Trust => return self.trust().await,
            Step::Restart { off, crashes } => {
                let since = self.halt(crashes).await;
                self.machine().advance(off);
                self.passes_unserved(off);
                self.spawn(since).await?;
            }
            Step::Reboot { off, crashes, wrong_by, is_synchronised } => {
                self.reboot(off, crashes, wrong_by, is_synchronised).await?;
            }
            Step::Fill => {
                self.disk.fill();
                self.is_full = true;
            }
            Step::Free => self.free().await,
            Step::SignUp => self.sign_up().await,
            Step::CheckIn { phone } => self.check_in(phone).await,
            Step::SignOut { phone } => self.sign_out(phone).await,
        }
        self.compare(false).await
    }

    async fn advance(&mut self, span: Duration, asleep: bool) {
        let mut left = span;
        while !left.is_zero() {
            let part = if asleep { left } else { left.min(DAY) };
            self.machine().advance(part);
            (self.now.truth, self.now.awake) = (self.now.truth.plus(part), self.now.awake + part);
            self.upkeep().await;
            left -= part;
        }
    }

    fn pause(&mut self, span: Duration, wall_stands: bool) {
        self.passes_unseen(span);
        if wall_stands {
            self.machine().set_synchronised(false);
        } else {
            self.machine().set_wall(self.machine().wall().plus(span));
        }
    }

    pub(super) fn synchronise(&self) {
        self.machine().set_wall(self.now.truth);
        self.machine().set_synchronised(true);
    }

    async fn trust(&mut self) -> Result<(), Violation> {
        self.machine().set_wall(self.now.truth);
        let url = format!("{}/v1/clock/trust?yes=true", self.server().operators);
        let said = self.server().client.post(url).bearer_auth(&self.operator);
        assert_eq!(Reply::to(said).await.status, 200);
        self.compare(true).await
    }

    async fn reboot(
        &mut self,
        off: Duration,
        crashes: bool,
        wrong_by: i64,
        is_synchronised: bool,
    ) -> Result<(), Violation> {
        let since = self.halt(crashes).await;
        self.passes_unseen(off);
        self.machine().reboot();
        self.now.boots += 1;
        self.machine().set_wall(moved(self.now.truth, if is_synchronised { 0 } else { wrong_by }));
        self.machine().set_synchronised(is_synchronised);
        self.is_on_probation = true;
        self.spawn(since).await
    }

    pub(super) async fn stop(mut self) {
        self.timed.stop().await;
    }

    /// Stops the server. Returns the saved time that a crash leaves behind: that of less than a minute ago.
    async fn halt(&mut self, crashes: bool) -> Option<Vec<u8>> {
        let saved = crashes.then(|| fs::read(self.clock_file()).unwrap());
        if crashes {
            let since = MINUTE - Duration::from_secs(1);
            self.machine().advance(since);
            (self.now.truth, self.now.awake) = (self.now.truth.plus(since), self.now.awake + since);
        }
        self.timed.stop().await;
        saved
    }

    async fn spawn(&mut self, saved: Option<Vec<u8>>) -> Result<(), Violation> {
        if let Some(saved) = saved {
            fs::write(self.clock_file(), saved).unwrap();
        }
        let failed = |error| Violation::new(Fault::Start, format!("{error:#}"));
        self.timed.spawn().await.map_err(failed)
    }

    fn clock_file(&self) -> std::path::PathBuf {
        self.server().data.join("clock")
    }

    /// Time in which phones cannot reach the server.
    fn passes_unserved(&mut self, span: Duration) {
        self.now.truth = self.now.truth.plus(span);
        if span <= HOUR {
            self.now.awake += span;
        }
    }

    /// Time in which the boot clock does not run, either.
    fn passes_unseen(&mut self, span: Duration) {
        self.passes_unserved(span);
        self.now.trusted_ahead -= seconds(span);
        self.asked.iter_mut().for_each(|asked| asked.lose(seconds(span)));
    }

    /// Gives the disk its space back, and waits until phones are served: the server tries each few seconds.
    pub(super) async fn free(&mut self) {
        if !self.is_full {
            return;
        }
        self.disk.free();
        for _ in 0..3_000 {
            let ready = call(self.server(), Method::GET, "/readyz", None, None).await;
            let sign_up = Some(json!({"platform": "other"}));
            let signed_up = call(self.server(), Method::POST, "/v1/devices", None, sign_up).await;
            if (ready.status, signed_up.status) == (200, 201) {
                self.is_full = false;
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("service does not resume");
    }

    /// What the server does by itself every minute.
    pub(super) async fn upkeep(&self) {
        let running = self.timed.running();
        running.tick_directory();
        running.tick_retention();
        running.tick_sealing();
        running.tick_registry().await;
    }

    pub(super) fn server(&self) -> &Server {
        &self.timed.server
    }

    /// Reads trusted time, and checks that it moved only as its rules allow.
    async fn compare(&mut self, was_confirmed: bool) -> Result<(), Violation> {
        let status = Reply::to(self.server().operator(&self.operator, "/v1/clock")).await;
        let status: ClockStatus = serde_json::from_value(status.body).unwrap();
        let trusted_ahead = seconds_between(status.trusted, self.now.truth);
        let moved = trusted_ahead - self.now.trusted_ahead;
        let is_probation_over =
            self.is_on_probation && status.is_followed && moved <= PROBATION + SMALL;
        let is_right = trusted_ahead == 0;
        let is_allowed = if was_confirmed || status.is_synchronised {
            is_right && status.is_followed
        } else {
            // A crash loses the last minute.
            moved.abs() <= SMALL + 60 || moved > 0 && is_probation_over
        };
        if !is_allowed {
            return Err(Violation::new(Fault::Followed, format!("{moved} s: {status:?}")));
        }
        self.now.trusted_ahead = trusted_ahead;
        self.now.is_followed = status.is_followed;
        self.now.is_confirmed = was_confirmed || status.is_synchronised;
        self.is_on_probation &= !status.is_followed;
        if moved > SMALL + 60 && !status.is_synchronised {
            let phones = self.phones.iter_mut().map(|phone| &mut phone.stamp);
            let stamps = phones.chain(self.asked.iter_mut().map(|asked| &mut asked.stamp));
            stamps.for_each(|stamp| stamp.jump_without_time_service(&self.now));
        }
        let small = if moved.abs() <= SMALL + 60 { moved } else { 0 };
        self.phones.iter_mut().for_each(|phone| phone.see(&self.now, small));
        self.asked.iter_mut().for_each(|asked| asked.see(&self.now, small));
        // An operator's word holds for what was stamped before.
        self.now.is_confirmed = status.is_synchronised;
        Ok(())
    }

    pub(super) fn log_directory(&self) -> (&Path, std::path::PathBuf) {
        (&self.server().data, self.server().data.join("log"))
    }
}

fn moved(at: Timestamp, seconds: i64) -> Timestamp {
    let span = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { at.minus(span) } else { at.plus(span) }
}
