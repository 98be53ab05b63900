//! What answers on the two listeners.

use std::sync::Arc;

use super::modules::Modules;
use crate::{
    clock::{SharedClock, TrustedClock},
    cluster::Others,
    config::Config,
    doctor::{Connections, Deployment},
    http::{
        self,
        host::Hosts,
        operator::{Gate, MetricsOpen, OperatorState, Reads},
        phone::PhoneState,
        proxies::Proxies,
        service::Service,
        tls::Tls,
    },
    reading::Records,
    shutdown::Shutdown,
};

/// The services of both listeners, with counts at zero.
pub(super) struct Services {
    pub(super) phones: Service,
    pub(super) operators: Service,
}

impl Services {
    pub(super) fn new(
        config: &Config,
        modules: &Modules,
        trusted: &Arc<TrustedClock>,
        tls: Option<&Tls>,
        shutdown: &Shutdown,
        connections: Connections,
    ) -> Self {
        let clock: SharedClock = Arc::clone(trusted) as _;
        let (of_phones, of_operators) = (http::phone::traffic(), http::operator::traffic());
        let proxies = Proxies::from(config.server.trusted_proxies.as_slice());
        let counters = modules.counters(&of_phones, &of_operators, &proxies);
        let hosts = Hosts::new(config.server.operators.ip(), &config.server.hosts);
        let phones = PhoneState {
            dispatch: modules.dispatch.clone(),
            registry: Arc::clone(&modules.registry),
            verifications: Arc::clone(&modules.ownership),
            quota: Arc::clone(&modules.quota),
            log: modules.log.clone(),
            clock: Arc::clone(&clock),
            fence: modules.fence.clone(),
        };
        let (audit, dispatch) = (modules.audit.clone(), modules.dispatch.clone());
        let hour_keys = modules.node.as_ref().map(|node| node.hour_keys.clone());
        let log = modules.log.clone();
        let records = Records::of_server(log, audit, dispatch, hour_keys, Arc::clone(&clock));
        let others = modules.node.as_ref().map(|node| Others::new(node.peers.clone()));
        let others = others.map(|others| others.with_lost(modules.lost.clone()));
        let records = records.in_cluster(others);
        let operators = Arc::clone(&modules.operators);
        let require_case = config.operators.require_case;
        let operators = OperatorState {
            gate: Gate::new(
                Arc::clone(&operators),
                records.clone(),
                modules.fence.clone(),
                shutdown.clone(),
                require_case,
            ),
            operators: Arc::clone(&operators),
            metrics_open: MetricsOpen(config.telemetry.metrics_open),
            reads: Reads::new(records),
            registry: Arc::clone(&modules.registry),
            quota: Arc::clone(&modules.quota),
            intake: modules.intake.clone(),
            snapshots: modules.snapshots.clone(),
            counters,
            states: modules.states(trusted, tls),
            defences: modules.defences(),
            deployment: Arc::new(Deployment::of_server(
                config.clone(),
                Arc::clone(trusted),
                super::tls::certificate_in_files(&config.tls, SharedClock::clone(&clock)),
                connections,
                operators,
            )),
            log: modules.log.clone(),
            clock,
            trusted: Arc::clone(trusted),
            shutdown: shutdown.clone(),
            fence: modules.fence.clone(),
            node: modules.node.clone(),
        };
        let paths = http::operator::paths();
        Self {
            phones: http::phone::service(
                phones,
                proxies,
                config.server.shed_after,
                paths,
                of_phones,
            ),
            operators: http::operator::service(operators, hosts, of_operators),
        }
    }
}
