//! `dispatchd log verify`.

use anyhow::bail;

use crate::{
    api::VerifyRequest,
    cli::{output::print_rows, source::Reading},
    query_log::ChainReport,
};

const FIELDS: &str = "segment state key records damaged rebuilt forged gaps lost_records torn_bytes \
                      out_of_order overdue sound";

pub(super) fn run(command: &Reading<VerifyRequest>) -> anyhow::Result<()> {
    let report = command.source.answer(&command.request)?;
    let printed = print_rows(command.json, FIELDS, &report.segments);
    print_chain(&report.chain);
    // First, so that a closed pipe does not turn the verdict into success.
    if !report.sound {
        bail!("the log is not sound");
    }
    printed?;
    eprintln!("dispatchd: the log is sound");
    Ok(())
}

/// Says which sealed segments are missing or replaced, and what to store to find out later.
fn print_chain(chain: &ChainReport) {
    let faults = [
        (&chain.missing, "is missing: another names it, and it has not expired"),
        (&chain.replaced, "was replaced: another names different content"),
        (&chain.loose, "has lost its neighbour: something sealed before or after it is missing"),
    ];
    for (segments, fault) in faults {
        for segment in segments {
            eprintln!("dispatchd: segment {segment} {fault}");
        }
    }
    if let Some(head) = &chain.head {
        eprintln!("dispatchd: the chain of sealed segments ends with {head}");
    }
}
