//! One stage of a run: clients and faults at the same time, then the checks.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use crate::{
    checks::{Fault, Wrong},
    dice::Dice,
    history::{Events, Outcome},
    nemesis::{self, world::World},
    service::Service,
    traffic::Traffic,
};

/// Between two strikes.
const CALM: Duration = Duration::from_secs(2);
/// Faults of one kind that are printed.
const SHOWN_MAX: usize = 5;

/// Strikes the world while clients are at work, for so long. Says what each strike did to them.
pub(crate) async fn strike<S: Service>(
    traffic: &Arc<Traffic<S>>,
    world: &mut World,
    (deck, length): (Vec<nemesis::Fault>, Duration),
    dice: &mut Dice,
    mut between: impl AsyncFnMut(&World),
) -> anyhow::Result<()> {
    let (begun, kinds) = (Instant::now(), deck.len());
    let mut program = nemesis::Program::new(deck, length);
    let mut number = 0;
    sleep(CALM).await;
    while begun.elapsed() < length {
        let strike = program.next(dice);
        println!("  {:5.1} s  {strike}", traffic.history.now().as_secs_f64());
        let from = traffic.history.now();
        strike.happen(world, dice).await?;
        sleep(CALM).await;
        between(world).await;
        let until = traffic.history.now();
        let (any, worst) = traffic.history.events().silences(from, until, traffic.nodes());
        println!(
            "           longest time without an answer: {:.1} s, at the worst node {:.1} s",
            any.as_secs_f64(),
            worst.as_secs_f64()
        );
        number += 1;
    }
    println!("  {number} strikes of {kinds} kinds");
    Ok(())
}

/// Prints what clients did, and what they were told.
pub(crate) fn print_counts(events: &Events) {
    let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
    for attempt in &events.attempts {
        let name = match attempt.outcome {
            Outcome::Done => "done",
            Outcome::NotHeld | Outcome::Held => "without effect",
            Outcome::Refused(_) => "refused",
            Outcome::Unknown(_) => "unknown",
        };
        *outcomes.entry(name).or_default() += 1;
    }
    let changes = outcomes.iter().map(|(name, count)| format!("{count} {name}"));
    let changes = changes.collect::<Vec<_>>().join(", ");
    println!("  {} answers to lookups; changes: {changes}", events.lookups.len());
    for (text, count) in &events.told {
        println!("  {count:7}  {text}");
    }
}

/// Prints the faults, some of each kind. Returns whether there are none.
pub(crate) fn print_faults(faults: &[Fault]) -> bool {
    let mut kinds: BTreeMap<Wrong, Vec<&Fault>> = BTreeMap::new();
    for fault in faults {
        kinds.entry(fault.wrong).or_default().push(fault);
    }
    for (wrong, of) in &kinds {
        println!("  FAULTS of kind {wrong:?}: {}", of.len());
        of.iter().take(SHOWN_MAX).for_each(|fault| println!("    {fault}"));
    }
    if kinds.is_empty() {
        println!(
            "  stale 0, back in time 0, lost 0, doubled 0, \"no\" for \"cannot tell\" 0, nodes agree"
        );
    }
    kinds.is_empty()
}
