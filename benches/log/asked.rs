//! Which handles are searched for.

use dispatchd::handle::Handle;

use crate::{Amounts, HOURS, generator::Traffic, population::Population};

/// Of each hour, so many handles as they come, and so many of the least asked tenth.
const FREQUENT_PER_HOUR: usize = 10;
const RARE_PER_HOUR: usize = 5;
const ABSENT: u64 = 50;
/// Records between two handles that are taken as they come.
const EACH: usize = 97;

/// Handles, by how often they occur.
pub(crate) struct Asked {
    /// Drawn as often as they are asked for. They occur.
    pub(crate) frequent: Vec<Handle>,
    /// Of the least asked tenth. They occur.
    pub(crate) rare: Vec<Handle>,
    /// Never asked for.
    pub(crate) absent: Vec<Handle>,
}

impl Asked {
    /// The same in each process.
    pub(crate) fn choose(amounts: &Amounts) -> Self {
        let population = Population::new(amounts.seed, amounts.per_hour());
        let absent = (0..ABSENT).map(|number| population.handle(population.handles + number));
        let mut asked = Self { frequent: Vec::new(), rare: Vec::new(), absent: absent.collect() };
        for number in 0..HOURS {
            asked.choose_of_hour(amounts, &population, number);
        }
        asked
    }

    fn choose_of_hour(&mut self, amounts: &Amounts, population: &Population, number: u32) {
        let (hour, of) = (amounts.hour(number), (amounts.seed, number));
        let mut traffic = Traffic::new(population, of, hour, amounts.per_hour());
        let (mut records, mut met) = (Vec::new(), 0);
        let (mut frequent, mut rare) = (FREQUENT_PER_HOUR, RARE_PER_HOUR);
        while frequent + rare > 0 && traffic.next_request(&mut records).is_some() {
            for rank in traffic.ranks.iter().flatten() {
                met += 1;
                if frequent > 0 && met % EACH == 0 {
                    frequent -= 1;
                    self.frequent.push(population.handle(*rank));
                } else if rare > 0 && *rank >= population.handles / 10 * 9 {
                    rare -= 1;
                    self.rare.push(population.handle(*rank));
                }
            }
        }
    }

    /// All, the frequent first, then the rare.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Handle> + Clone {
        self.frequent.iter().chain(&self.rare).chain(&self.absent)
    }

    /// One of each sort.
    pub(crate) fn few(&self) -> impl Iterator<Item = &Handle> + Clone {
        [&self.frequent, &self.rare, &self.absent].into_iter().filter_map(|sort| sort.first())
    }
}
