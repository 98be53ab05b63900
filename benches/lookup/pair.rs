//! Measures two servers in turn with the same requests.

use crate::{
    Amounts,
    load::Fleet,
    population::Population,
    process::Server,
    rounds::{LOOKUPS_PREPARED, Series},
};

/// Slices of both, one after the other.
pub(crate) struct Pair {
    pub(crate) series: [Series; 2],
    pub(crate) answers: [u64; 2],
}

/// Lookups for each connection.
pub(crate) fn lookups(amounts: &Amounts, population: &Population) -> Vec<Vec<Vec<u8>>> {
    let each = LOOKUPS_PREPARED.div_ceil(amounts.connections);
    (0..amounts.connections).map(|number| population.lookups(number, each)).collect()
}

impl Pair {
    /// Sends `requests` to both, slice by slice.
    pub(crate) fn measure(
        amounts: &Amounts,
        servers: [&Server; 2],
        requests: &[Vec<Vec<u8>>],
    ) -> anyhow::Result<Self> {
        let mut pair = Self { series: Default::default(), answers: [0; 2] };
        for _ in 0..amounts.blocks {
            let connect = |server: &Server| Fleet::connect(server.address, requests.to_vec(), None);
            let mut fleets = [connect(servers[0])?, connect(servers[1])?];
            for fleet in &mut fleets {
                fleet.ask_for(amounts.slice)?;
            }
            for _ in 0..amounts.rounds {
                for (at, fleet) in fleets.iter_mut().enumerate() {
                    pair.series[at].measure(servers[at], fleet, amounts)?;
                }
            }
            for (answers, fleet) in pair.answers.iter_mut().zip(&fleets) {
                *answers += fleet.answers;
            }
        }
        Ok(pair)
    }
}
