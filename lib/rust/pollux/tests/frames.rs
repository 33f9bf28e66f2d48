// SPDX-License-Identifier: BSD-3-Clause
//! Bursts and their frames.
mod common;

use common::{frame, number, pair, pair_with};
use pollux::{offload, packet_type, Burst, Checksum, Context, Offload, PoolOptions};
use std::panic::{catch_unwind, AssertUnwindSafe};

#[test]
fn frames_pass_a_wire_in_order() {
    let mut pair = pair();
    let (mut tx, mut rx) = (pair.left.tx(0).unwrap(), pair.right.rx(0).unwrap());
    let mut burst = pair.burst();
    for number in 0..20 {
        burst.push(pair.frame(number)).unwrap();
    }
    assert_eq!(burst.room(), 12);
    assert_eq!(tx.send(&mut burst), 20);
    assert!(burst.is_empty());
    pair.pass();
    assert_eq!(rx.receive(&mut burst), 20);
    for (number, frame) in burst.iter().enumerate() {
        assert_eq!((frame.len(), frame.bytes()), (64, 64));
        assert_eq!(usize::from(frame[63]), number);
        assert_eq!(frame.metadata().port, Some(1));
    }
    assert_eq!(rx.receive(&mut burst), 0);
}

#[test]
fn a_full_ring_leaves_the_rest_in_the_burst() {
    let mut pair = pair_with(r#"{"tx":[{"ring":64}]}"#);
    let mut tx = pair.left.tx(0).unwrap();
    let mut burst = Burst::<200>::new(&pair.unread);
    for number in 0..200 {
        burst.push(pair.frame(number)).unwrap();
    }
    let sent = tx.send(&mut burst);
    assert!(sent > 0 && sent < 200, "{sent}");
    assert_eq!(burst.len(), 200 - sent);
    assert_eq!(usize::from(burst[0][63]), sent);
    // A stopped port takes nothing.
    pair.left.request("port.stop", None).unwrap();
    let one = burst.pop().unwrap();
    assert_eq!(tx.send_one(one).unwrap_err()[63], 199);
    assert_eq!(tx.send(&mut burst), 0);
}

#[test]
fn what_is_left_in_a_burst_is_counted() {
    let mut pair = pair();
    let mut burst = pair.burst();
    for number in 0..3 {
        burst.push(pair.frame(number)).unwrap();
    }
    drop(burst);
    assert_eq!(pair.unread.count(), 3);
    let mut burst = pair.burst();
    burst.push(pair.frame(3)).unwrap();
    burst.drop_frames();
    assert!(burst.is_empty());
    assert_eq!(pair.unread.count(), 4);
    assert_eq!(pair.context.drop_counter("test_unread").unwrap().count(), 4);
}

#[test]
fn consumed_frames_return_to_their_pool() {
    let context = Context::open().unwrap();
    let counter = context.drop_counter("test_unread").unwrap();
    let options = PoolOptions {
        count: 64,
        name: Some("small".into()),
        ..Default::default()
    };
    let mut pool = context.open_pool(&options).unwrap();
    let mut burst = Burst::<64>::new(&counter);
    for way in 0..4 {
        assert!(pool.alloc_burst(&mut burst, 64, 100), "{way}");
        assert!(pool.alloc(100).is_none());
        match way {
            0 => pool.free(&mut burst),
            1 => burst.free(),
            2 => burst.drain().for_each(drop),
            _ => while burst.pop().is_some() {},
        }
        assert!(burst.is_empty());
    }
    assert_eq!(counter.count(), 0);
}

#[test]
fn a_pool_refuses_what_it_has_not() {
    let mut pair = pair();
    let mut burst = pair.burst();
    assert!(pair.pool.alloc(2049).is_none());
    assert!(pair.pool.alloc(u32::MAX).is_none());
    assert!(!pair.pool.alloc_burst(&mut burst, 33, 64));
    assert!(!pair.pool.alloc_burst(&mut burst, 2, u32::MAX));
    assert!(burst.is_empty());
    assert!(pair.pool.alloc_burst(&mut burst, 32, 64));
    let one = pair.frame(9);
    assert_eq!(burst.push(one).unwrap_err()[63], 9);
}

#[test]
fn a_drained_frame_has_one_owner() {
    let mut pair = pair();
    let mut burst = pair.burst();
    for number in 0..4 {
        burst.push(pair.frame(number)).unwrap();
    }
    let taken: Vec<_> = burst.drain().take(2).collect();
    assert_eq!((taken[0][63], taken[1][63]), (0, 1));
    assert_eq!((burst.len(), burst[0][63]), (2, 2));
    // An iterator that is never dropped: what it had left is leaked, and what it gave has one owner.
    let mut forgotten = burst.drain();
    let third = forgotten.next().unwrap();
    std::mem::forget(forgotten);
    assert_eq!((burst.len(), third[63]), (0, 2));
    drop((burst, third, taken));
    assert_eq!(pair.unread.count(), 0);
}

#[test]
fn frames_grow_and_shrink() {
    let mut pair = pair();
    let mut frame = pair.pool.alloc(0).unwrap();
    assert!(frame.is_empty());
    frame.append(4).unwrap().copy_from_slice(b"cdef");
    frame.prepend(2).unwrap().copy_from_slice(b"ab");
    assert_eq!(&frame[..], b"abcdef");
    assert!(frame.strip(1) && frame.trim(2));
    assert_eq!(&frame[..], b"bcd");
    assert!(!frame.strip(4) && !frame.trim(4));
    assert!(frame.append(5000).is_none() && frame.prepend(5000).is_none());
    assert!(frame.append(u32::MAX).is_none() && frame.prepend(u32::MAX).is_none());
    let headroom = frame.headroom();
    assert!(frame.prepend(headroom as u32).is_some());
    assert_eq!(frame.headroom(), 0);
    assert_eq!(frame.len(), headroom + 3);
    frame.try_mut().unwrap()[0] = 7;
    assert_eq!(frame[0], 7);
}

#[test]
fn shared_bytes_are_not_written() {
    let mut pair = pair();
    let mut first = pair.frame(1);
    let mut second = first.try_clone(&mut pair.pool).unwrap();
    let mut third = second.try_clone(&mut pair.pool).unwrap();
    for frame in [&mut first, &mut second, &mut third] {
        assert_eq!(frame[63], 1);
        assert!(frame.try_mut().is_none());
        let writes = catch_unwind(AssertUnwindSafe(|| frame[63] = 2));
        assert!(writes.is_err());
        assert_eq!((frame[63], frame.headroom()), (1, 0));
        assert!(frame.append(1).is_none() && frame.prepend(1).is_none());
    }
    // Each is sent, and two of them by one burst.
    let (mut tx, mut rx) = (pair.left.tx(0).unwrap(), pair.right.rx(0).unwrap());
    let mut burst = pair.burst();
    burst.push(pair.frame(7)).unwrap();
    burst.push(first).unwrap();
    burst.push(second).unwrap();
    let mut read = 0;
    let writes = catch_unwind(AssertUnwindSafe(|| {
        burst.bytes_mut().for_each(|bytes| read += bytes.len())
    }));
    assert!(writes.is_err() && read == 64, "{read}");
    assert_eq!(tx.send(&mut burst), 3);
    tx.send_one(third).unwrap();
    pair.pass();
    assert_eq!(rx.receive(&mut burst), 4);
    let numbers: Vec<u8> = burst.iter().map(|frame| frame[63]).collect();
    assert_eq!(numbers, [7, 1, 1, 1]);
    assert!(burst.iter_mut().all(|frame| frame.try_mut().is_some()));
    burst.bytes_mut().for_each(|bytes| bytes[63] = 8);
    assert!(burst.iter().all(|frame| frame[63] == 8));
}

#[test]
fn a_frame_of_several_buffers_reads_as_one() {
    let mut pair = pair_with(r#"{"mtu":9000}"#);
    let options = PoolOptions {
        data_room: 6000,
        count: 64,
        ..Default::default()
    };
    let mut large = pair.context.open_pool(&options).unwrap();
    let mut sent = large.alloc(5000).unwrap();
    for (place, byte) in sent.iter_mut().enumerate() {
        *byte = place as u8;
    }
    sent[..6].fill(0xFF);
    pair.left.tx(0).unwrap().send_one(sent).unwrap();
    pair.pass();
    let mut burst = pair.burst();
    assert_eq!(pair.right.rx(0).unwrap().receive(&mut burst), 1);
    let frame = &mut burst[0];
    assert_eq!(frame.bytes(), 5000);
    assert!(frame.len() < 5000);
    assert!(frame.buffers().count() > 1);
    let whole: Vec<u8> = frame.buffers().flatten().copied().collect();
    assert_eq!(whole.len(), 5000);
    let mut copy = [0; 100];
    assert_eq!(frame.copy_to(4950, &mut copy), 50);
    assert!((0..50).all(|place| copy[place] == (4950 + place) as u8));
    assert!((6..5000).all(|place| whole[place] == place as u8));
    assert_eq!(frame.copy_to(usize::MAX, &mut copy), 0);
    let mut clone = frame.try_clone(&mut pair.pool).unwrap();
    assert!(clone.try_mut().is_none() && frame.try_mut().is_none());
    assert_eq!(clone.buffers().flatten().count(), 5000);
}

#[test]
fn frames_are_chained() {
    let mut pair = pair();
    let mut whole = pair.frame(1);
    for number in 0..3 {
        whole.chain(pair.frame(number)).unwrap();
    }
    assert_eq!((whole.len(), whole.bytes(), whole.buffers().count()), (64, 256, 4));
    pair.left.tx(0).unwrap().send_one(whole).unwrap();
    pair.pass();
    let mut burst = pair.burst();
    assert_eq!(pair.right.rx(0).unwrap().receive(&mut burst), 1);
    assert_eq!((burst[0].bytes(), burst[0][127], burst[0][255]), (256, 0, 2));
    // 255 buffers are the most.
    let mut long = pair.frame(0);
    for _ in 1..255 {
        long.chain(pair.frame(0)).unwrap();
    }
    assert_eq!(long.chain(pair.frame(8)).unwrap_err()[63], 8);
    assert_eq!(long.buffers().count(), 255);
}

/// A UDP datagram of 4 bytes over IPv4, without checksums.
fn datagram(pool: &mut pollux::Pool) -> pollux::Frame {
    let mut datagram = frame(pool, 0);
    datagram[12..38].copy_from_slice(&[
        8, 0, 0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 7, 0, 9,
    ]);
    datagram[38..46].copy_from_slice(&[0, 12, 0, 0, 1, 2, 3, 4]);
    datagram
}

#[test]
fn checksums_are_requested_and_reported() {
    let mut pair = pair();
    let request = Offload {
        flags: offload::IPV4_CHECKSUM | offload::UDP_CHECKSUM,
        l2: 14,
        l3: 20,
        l4: 8,
        ..Default::default()
    };
    let mut no_ip = pair.frame(0);
    assert!(!no_ip.request_checksums(&request));
    let mut frame = datagram(&mut pair.pool);
    let mut shared = datagram(&mut pair.pool);
    let _other = shared.try_clone(&mut pair.pool).unwrap();
    assert!(!shared.request_checksums(&request));
    assert!(frame.request_checksums(&request));
    assert_eq!(frame.metadata().port, None);
    pair.left.tx(0).unwrap().send_one(frame).unwrap();
    pair.pass();
    let mut burst = pair.burst();
    assert_eq!(pair.right.rx(0).unwrap().receive(&mut burst), 1);
    let said = burst[0].metadata();
    assert_eq!((said.ip_checksum, said.l4_checksum), (Checksum::Good, Checksum::Good));
    assert_eq!(said.packet_type & packet_type::IPV4, packet_type::IPV4);
    assert_eq!(said.packet_type & packet_type::UDP, packet_type::UDP);
    assert!(!said.is_bad && said.vlan.is_none());
}

#[test]
fn tags_are_inserted_and_reported() {
    let mut pair = pair();
    pair.right.change(r#"{"vlan_stripping":true}"#).unwrap();
    let mut frame = pair.frame(5);
    frame.set_offload(&Offload {
        flags: offload::INSERT_VLAN,
        vlan: 0x2007,
        ..Default::default()
    });
    pair.left.tx(0).unwrap().send_one(frame).unwrap();
    pair.pass();
    let mut burst = pair.burst();
    assert_eq!(pair.right.rx(0).unwrap().receive(&mut burst), 1);
    let said = burst[0].metadata();
    assert_eq!((said.vlan, said.vlan_is_inner), (Some(0x2007), false));
    assert_eq!((burst[0].len(), burst[0][63]), (64, 5));
}

#[test]
fn a_request_without_sense_is_a_counted_drop() {
    let mut pair = pair();
    let mut frame = pair.frame(5);
    frame.set_offload(&Offload {
        flags: u32::MAX,
        vlan: u16::MAX,
        outer_vlan: u16::MAX,
        l2: u16::MAX,
        l3: u16::MAX,
        outer_l2: u16::MAX,
        outer_l3: u16::MAX,
        l4: u16::MAX,
        segment_size: u16::MAX,
    });
    pair.left.tx(0).unwrap().send_one(frame).unwrap();
    pair.pass();
    let drops = pair.left.request("port.stats", None).unwrap();
    assert_eq!(number(&drops, "tx_unsupported_offload"), 1, "{drops}");
    let mut burst = pair.burst();
    assert_eq!(pair.right.rx(0).unwrap().receive(&mut burst), 0);
}
