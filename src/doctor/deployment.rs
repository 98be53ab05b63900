//! The deployment as a whole: all checks, one after the other.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{
    certificate::{self, Certificate},
    clock, copies, engine, files, keys, network, nodes, roles,
    service::{self, Connections},
    space,
};
use crate::{
    api::{Check, DoctorReport},
    clock::TrustedClock,
    cluster::{ClusterReport, UnsharedHour},
    config::Config,
    operators::Operators,
    query_log::CopyFigures,
    shared_log::{EngineError, etcd::Examined},
};

/// A deployment to check.
#[derive(Debug)]
pub struct Deployment {
    config: Config,
    clock: Arc<TrustedClock>,
    certificate: Certificate,
    /// What only a running server knows of itself; none if no server runs.
    running: Option<Running>,
    /// Locked while somebody checks.
    checking: Arc<Mutex<()>>,
}

#[derive(Debug)]
struct Running {
    connections: Connections,
    operators: Arc<Operators>,
}

/// What a running node knows of its cluster.
#[derive(Clone, Debug)]
pub struct ClusterFacts {
    /// The nodes.
    pub nodes: ClusterReport,
    /// The oldest hour of this node whose key no other one holds.
    pub unshared: Option<UnsharedHour>,
    /// What etcd says of itself.
    ///
    /// # Errors
    /// Why it says nothing.
    pub engine: Result<Examined, EngineError>,
}

impl Deployment {
    /// The deployment of this process, which serves.
    pub fn of_server(
        config: Config,
        clock: Arc<TrustedClock>,
        certificate: Certificate,
        connections: Connections,
        operators: Arc<Operators>,
    ) -> Self {
        let running = Some(Running { connections, operators });
        Self { config, clock, certificate, running, checking: Arc::default() }
    }

    /// A deployment by its configuration and the files of `config.server.data`.
    pub fn of_files(config: Config, clock: Arc<TrustedClock>, certificate: Certificate) -> Self {
        Self { config, clock, certificate, running: None, checking: Arc::default() }
    }

    /// Waits until nobody else checks. Each check asks all of the etcd members and reads many files, so callers take turns.
    pub async fn alone(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.checking).lock_owned().await
    }

    /// The checks that only a running server can make of itself, if this one does not run.
    pub fn unchecked(&self) -> Vec<Check> {
        if self.running.is_some() {
            return Vec::new();
        }
        let mut checks = vec![Check::Descriptors, Check::Roles];
        if self.config.cluster.is_on() {
            checks.extend([Check::Engine, Check::Nodes]);
        }
        checks.extend(self.config.log.store.is_on().then_some(Check::Store));
        checks
    }

    /// Everything that is wrong. `unnamed_proxies` is how many connections since the start named a proxy that the configuration does
    /// not name. `cluster` is none in no cluster, `log_copies` without an object store, and both if no server runs. Reads names, sizes and permissions of files, so call it on a
    /// thread that may wait.
    pub fn check(
        &self,
        unnamed_proxies: u64,
        cluster: Option<&ClusterFacts>,
        log_copies: Option<&CopyFigures>,
    ) -> DoctorReport {
        let config = &self.config;
        let clock = self.clock.status();
        let mut findings = files::check(config);
        findings.extend(keys::check(config));
        findings.extend(clock::judge(config.clock.trust, &clock));
        findings.extend(space::check(config, &*self.clock));
        if let Some(Running { connections, operators }) = &self.running {
            findings.extend(service::judge_connections(*connections));
            findings.extend(roles::check(operators, clock.trusted));
        }
        findings.extend(self.certificate.check(clock.wall));
        findings.extend(certificate::of_cluster(&config.cluster, clock.wall));
        if let Some(ClusterFacts { nodes, unshared, engine }) = cluster {
            findings.extend(engine::judge(config.cluster.fence, engine));
            findings.extend(nodes::judge(nodes));
            findings.extend(unshared.and_then(nodes::judge_unshared));
        }
        findings.extend(network::judge(config));
        findings.extend(network::judge_unnamed(unnamed_proxies));
        findings.extend(service::judge(config));
        findings.extend(copies::judge(config));
        let interval = config.log.copy_interval;
        findings.extend(log_copies.iter().flat_map(|it| copies::judge_figures(interval, it)));
        findings.sort_by_key(|finding| finding.check);
        DoctorReport { findings }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::Severity,
        clock::{self, ManualClock},
        files::{DataDirectory, OsDisk},
    };

    #[test]
    fn a_good_deployment_has_no_finding_and_findings_are_in_the_order_of_the_checks() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.server.data = folder.path().join("data");
        // Of another file system.
        config.keys.root_key = Some("/dev/root.key".into());
        DataDirectory::prepare(&config.server.data).unwrap();
        let machine = ManualClock::at(crate::clock::Timestamp::from_secs(1_795_420_800));
        let of = |config: &Config| {
            let machine: clock::SharedMachine = machine.clone();
            let data = &config.server.data;
            let clock = TrustedClock::open(machine, OsDisk::shared(), data, &config.clock).unwrap();
            Deployment::of_files(config.clone(), Arc::new(clock), Certificate(Arc::new(|| None)))
        };
        assert_eq!(of(&config).check(0, None, None), DoctorReport::default());
        assert_eq!(of(&config).unchecked(), [Check::Descriptors, Check::Roles]);

        let mut bad = config.clone();
        bad.server.trusted_proxies = vec!["::/0".parse().unwrap()];
        bad.quota.enabled = false;
        bad.keys.root_key = None;
        let found = of(&bad).check(0, None, None).findings;
        let found: Vec<_> = found.iter().map(|it| (it.check, it.severity)).collect();
        let expected = [
            (Check::Keys, Severity::Warning),
            (Check::Proxies, Severity::Error),
            (Check::Delivery, Severity::Warning),
            (Check::Quotas, Severity::Warning),
        ];
        assert_eq!(found, expected);
    }
}
