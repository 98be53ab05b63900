//! What metrics and messages say of the service's state.

use std::sync::atomic::Ordering;

use crate::registry::RowKind;

use super::{conversion::Conversion, send_limits::country_of, service::VerificationService};

/// The sessions in the table, with those that expired within ten minutes. For metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionCounts {
    /// Sessions that bind a handle to a device.
    pub binding: usize,
    /// Sessions that take a handle from every device. Nobody needs a token to begin one.
    pub deregistering: usize,
    /// Requests for a code since the start that were refused because the table was full.
    pub refused: u64,
}

impl VerificationService {
    /// How many sessions there are; none while the registry is being loaded.
    pub fn session_counts(&self) -> SessionCounts {
        let refused = self.sessions_refused.load(Ordering::Relaxed);
        match self.registry.rows() {
            Ok(rows) => SessionCounts {
                binding: rows.count(RowKind::Session),
                deregistering: rows.count(RowKind::Deregistration),
                refused,
            },
            Err(_) => SessionCounts { refused, ..SessionCounts::default() },
        }
    }

    /// The calling codes to which strangers get no codes for now, since hardly any was answered. Ascending.
    pub fn paused_countries(&self) -> Vec<u16> {
        let Ok(rows) = self.registry.rows() else { return Vec::new() };
        let (now, mut paused) = (rows.now(), Vec::new());
        rows.each(RowKind::Conversion, |key, value| {
            let conversion = postcard::from_bytes::<Conversion>(value);
            if conversion.is_ok_and(|conversion| conversion.paused_until(now).is_some()) {
                paused.extend(country_of(key));
            }
        });
        // A country may be paused for askers with a token and for others.
        paused.dedup();
        paused
    }

    /// Warns if the key of codes was made by this start although there are sessions: then nobody can answer an open code.
    /// Call it once the registry is loaded.
    pub fn warn_of_lost_key(&self) {
        let SessionCounts { binding, deregistering, .. } = self.session_counts();
        let sessions = binding + deregistering;
        if self.rules.key.is_new && sessions > 0 {
            tracing::warn!(
                sessions,
                "keys/verification.key was missing, and a new one was made; open codes and link codes are void, and \
                 people must ask for new ones; counts of sent codes by person, account and network begin anew"
            );
        }
    }
}
