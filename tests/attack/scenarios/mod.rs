//! The scenarios: one file for each attacker, and one for the honest.

mod bombing;
mod botnet;
mod exhaustion;
mod honest;
mod leaked_list;
mod mimic;
mod one_address;
mod restart;
mod service;
mod shut_out;
mod sweeps;
mod toll_fraud;
mod town;

use crate::{run::Run, table::Row};

/// Plays one scenario and returns its figures.
type Scenario = fn(&Run) -> anyhow::Result<Vec<Row>>;

/// All scenarios by name, in the order of the table.
pub(crate) const SCENARIOS: [(&str, Scenario); 10] = [
    ("mimic", mimic::play),
    ("one address", one_address::play),
    ("botnet", botnet::play),
    ("sweeps", sweeps::play),
    ("honest", honest::play),
    ("bombing", bombing::play),
    ("toll fraud", toll_fraud::play),
    ("shut out", shut_out::play),
    ("exhaustion", exhaustion::play),
    ("restart", restart::play),
];
