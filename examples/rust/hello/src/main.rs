// SPDX-License-Identifier: BSD-3-Clause
//! Sends a frame over a wire that loses it on purpose, and sees the counter that names the loss.
use std::time::Duration;

const FRAME: &[u8] = b"\xFF\xFF\xFF\xFF\xFF\xFF\x02\0\0\0\0\x01\x88\xB5Hello"; // broadcast

fn main() -> Result<(), pollux::Error> {
    let context = pollux::Context::options().virtual_time().open()?;
    let left = context.open_port("sim:0?loss=1")?;
    let right = context.open_port("sim:1")?; // the other end of its wire
    left.wait_for_link(Duration::from_secs(10))?;
    right.wait_for_link(Duration::from_secs(10))?;
    let mut frame = left.pool(0)?.alloc(60).expect("a new pool has frames");
    frame.fill(0);
    frame[..FRAME.len()].copy_from_slice(FRAME);
    left.tx(0)?.send_one(frame).expect("a new ring has room");
    context.sleep(Duration::from_millis(1)); // virtual time: the card sends the frame
    let mut burst = pollux::Burst::<32>::new(&context.drop_counter("hello_unread")?);
    let received = right.rx(0)?.receive(&mut burst);
    println!("{received} received; the wire: {}", context.wire_counters(0)?);
    Ok(())
}
