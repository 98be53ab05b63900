//! What operators install: the systemd unit with its service manager, the Debian package, the container files, and the words of
//! `docs/operators/deploy.md` and `upgrade.md`.

mod containers;
mod debian;
mod links;
mod notify;
mod unit;
mod upgrade;
