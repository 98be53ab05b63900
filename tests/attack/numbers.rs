//! Phone numbers and addresses, by their number in a row.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dispatchd::handle::Handle;

use crate::dice::{Dice, mixed};

/// Numbers that share all digits but the last four.
pub(crate) const BLOCK: u64 = 10_000;
/// Ten-digit numbers of North America: 8 million blocks of which the first digits of area and exchange are 2 to 9.
const BLOCKS: u64 = 800 * 800;

/// The number at this place of this block.
pub(crate) fn number(block: u64, place: u64) -> String {
    let (block, place) = (block % BLOCKS, place % BLOCK);
    format!("+1{}{}{place:04}", 200 + block / 800, 200 + block % 800)
}

/// Any number of the country.
pub(crate) fn anywhere(dice: &mut Dice) -> String {
    number(dice.below(BLOCKS), dice.below(BLOCK))
}

/// A number of people who know each other. They are spread over all blocks.
pub(crate) fn known(at: u64) -> String {
    let spread = mixed(at);
    number(spread >> 32, spread & 0xFFFF_FFFF)
}

/// The parsed form.
pub(crate) fn handle(number: &str) -> Handle {
    Handle::from_canonical(number).expect("a canonical number")
}

/// An IPv4 address with a /24 of its own.
pub(crate) fn ipv4(network: u64) -> IpAddr {
    let [.., high, low] = network.to_be_bytes();
    let third = network.to_be_bytes()[5];
    Ipv4Addr::new(11 + third % 80, high, low, 7).into()
}

/// An address in the given /64 of the given /48.
pub(crate) fn ipv6(site: u64, subnet: u64) -> IpAddr {
    let bits = (0x2001_0db8_u128 << 96) | (u128::from(site & 0xFFFF) << 80);
    Ipv6Addr::from_bits(bits | (u128::from(subnet & 0xFFFF) << 64) | 1).into()
}
