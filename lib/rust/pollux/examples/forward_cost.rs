// SPDX-License-Identifier: BSD-3-Clause
//! As bench/languages/forward.cpp. usage: forward_cost BURST keep|swap
use pollux::{Burst, Context, DropCounter, RxQueue, TxQueue};

#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}
extern "C" {
    fn clock_gettime(clock: i32, now: *mut Timespec) -> i32;
}

fn seconds() -> f64 {
    const CLOCK_PROCESS_CPUTIME_ID: i32 = 2;
    let mut now = Timespec {
        seconds: 0,
        nanoseconds: 0,
    };
    // SAFETY: it writes to what it is given.
    unsafe { clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &mut now) };
    now.seconds as f64 + now.nanoseconds as f64 * 1e-9
}

fn forward<const N: usize>(
    from: &mut RxQueue,
    to: &mut TxQueue,
    unsent: &DropCounter,
    swaps: bool,
    duration: f64,
) -> f64 {
    let mut burst = Burst::<N>::new(unsent);
    let (mut frames, mut passed) = (0.0, 0.0);
    let begun = seconds();
    while passed < duration {
        for _ in 0..1000 {
            frames += from.receive(&mut burst) as f64;
            if swaps {
                for bytes in burst.bytes_mut() {
                    let (first, rest) = bytes.split_at_mut(6);
                    first.swap_with_slice(&mut rest[..6]);
                }
            }
            to.send(&mut burst);
            burst.drop_frames();
        }
        passed = seconds() - begun;
    }
    passed * 1e9 / frames
}

fn main() -> Result<(), pollux::Error> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let context = Context::open()?;
    let (from, to) = (context.open_port("null:?rx=64")?, context.open_port("null:")?);
    let (mut rx, mut tx) = (from.rx(0)?, to.tx(0)?);
    let unsent = context.drop_counter("unsent")?;
    let mut measure = |duration| match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["1", how] => forward::<1>(&mut rx, &mut tx, &unsent, how == "swap", duration),
        ["32", how] => forward::<32>(&mut rx, &mut tx, &unsent, how == "swap", duration),
        _ => panic!("usage: forward_cost 1|32 keep|swap"),
    };
    measure(0.05);
    println!("{:.3}", measure(0.2));
    Ok(())
}
