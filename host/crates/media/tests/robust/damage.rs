//! Segments and packets that are lost, repeated, out of order, cut off or wrong.

use crate::made::{self, Scratch, segments};
use crate::played::play;

/// Times of the pictures of segments, in that order.
fn shown(segments: &[&Vec<u8>]) -> Vec<i64> {
    segments.iter().flat_map(|segment| made::pts(segment, "v")).collect()
}

/// Catches a lost segment that costs more than itself.
#[test]
fn a_missing_segment_costs_itself() {
    let whole = segments(6, 10.0);
    let sent: Vec<_> = [0, 1, 4, 5].map(|at| whole[at].clone()).to_vec();
    let played = play(&sent);
    assert_eq!(made::pts(&played.bytes(), "v"), shown(&[&whole[0], &whole[1], &whole[4], &whole[5]]));
    let source = Scratch::of(&whole.concat(), "ts");
    let wanted = made::pictures(&source.0, "", (160, 90));
    assert!(played.planes()[50..] == wanted[100..], "pictures after the gap differ");
    // Sound goes on at its own time: nothing of the gap is filled, and nothing moved up into it.
    let heard = made::pts(&played.bytes(), "a");
    let source = made::pts(&sent.concat(), "a");
    let gap = |times: &[i64]| times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    let (missing, silent) = (gap(&source), gap(&heard));
    assert!(missing > 90_000 && (silent - missing).abs() < 3_600, "{silent} ticks of {missing} without sound");
    let apart = heard.last().unwrap() - source.last().unwrap();
    assert!(apart.abs() < 4_500, "sound ends {apart} ticks after the source's");
}

/// Catches a repeated segment that is shown or heard twice.
#[test]
fn a_repeated_segment_is_shown_once() {
    let whole = segments(5, 10.0);
    let sent: Vec<_> = [0, 1, 1, 2, 2, 2, 3, 4].map(|at| whole[at].clone()).to_vec();
    let played = play(&sent);
    assert_eq!(made::pts(&played.bytes(), "v"), made::pts(&whole.concat(), "v"));
    assert_eq!(played.out_of_order, 75);
    let heard = made::pts(&played.bytes(), "a");
    assert!(heard.windows(2).all(|pair| pair[1] - pair[0] >= 1_790), "sound is heard twice: {heard:?}");
    assert!(heard.len().abs_diff(250) <= 5, "{} packets", heard.len());
}

/// Catches segments out of order that are lost, or leave the stream out of order for good.
#[test]
fn segments_out_of_order_are_shown_as_they_come() {
    let whole = segments(6, 10.0);
    let order = [0, 2, 1, 3, 4, 5];
    let sent: Vec<_> = order.map(|at| whole[at].clone()).to_vec();
    let played = play(&sent);
    assert_eq!(played.times, shown(&order.map(|at| &whole[at])));
    assert_eq!(played.out_of_order, 0);
    let last: Vec<i64> = played.out.iter().rev().take(3).rev().flat_map(|segment| made::pts(segment, "v")).collect();
    assert_eq!(last, shown(&[&whole[3], &whole[4], &whole[5]]), "the rest is in order");
}

/// Catches half a segment that takes the next one with it.
#[test]
fn half_a_segment_costs_its_other_half() {
    let whole = segments(5, 10.0);
    let mut sent = whole.clone();
    // Amid a packet.
    let half = sent[2].len() / 2 / 188 * 188 + 77;
    sent[2].truncate(half);
    // A beginning that is lost: no tables, no key frame.
    sent[3].drain(..half);
    let played = play(&sent);
    let times = made::pts(&played.bytes(), "v");
    let of = |at: usize| made::pts(&whole[at], "v");
    assert!([of(0), of(1), of(4)].concat().iter().all(|time| times.contains(time)), "whole segments come whole");
    assert!(times.len() >= 75 + 10, "{} pictures", times.len());
    assert!(times.is_sorted());
    let source = Scratch::of(&whole.concat(), "ts");
    let wanted = made::pictures(&source.0, "", (160, 90));
    assert!(played.planes()[played.times.len() - 25..] == wanted[100..], "pictures of the last segment differ");
}

/// Catches packets that come twice and are taken for more of the same.
#[test]
fn repeated_packets_change_nothing() {
    let whole = segments(3, 10.0).concat();
    let twice: Vec<u8> = whole.chunks(188).flat_map(|packet| [packet, packet].concat()).collect();
    let (once, twice) = (play(&[whole]), play(&[twice]));
    assert_eq!(twice.times, once.times);
    assert!(twice.planes() == once.planes());
    assert_eq!(twice.sound, once.sound);
    assert_eq!((twice.stats.bad_packets, twice.stats.bad_units), (0, 0));
}

/// Catches bit errors that stop the stream, send it back in time, change its shape, or last longer than to the next key frame.
#[test]
fn bit_errors_in_one_packet_of_a_hundred() {
    let whole = segments(20, 10.0);
    // Bits drawn by a fixed generator: the same ones in each run.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut draw = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut sent = whole.clone();
    for segment in &mut sent[..18] {
        for packet in segment.chunks_mut(188) {
            if draw(100) == 0 {
                packet[draw(188) as usize] ^= 1 << draw(8);
            }
        }
    }
    let played = play(&sent);
    let times = made::pts(&played.bytes(), "v");
    assert!(times.len() >= 450, "{} of 500 pictures", times.len());
    assert!(played.stats.bad_units + played.stats.bad_packets > 0, "{:?}", played.stats);
    assert_eq!(played.stats.jumps, 0);
    assert!(played.heard() > 19.0, "{} s of sound", played.heard());
    assert!(played.sound.iter().all(|frame| (frame.rate, frame.channels.len()) == (48_000, 1)), "sound changed shape");
    assert!((18..=22).contains(&played.out.len()), "{} segments: no encoder starts anew", played.out.len());
    let source = Scratch::of(&whole.concat(), "ts");
    let wanted = made::pictures(&source.0, "", (160, 90));
    assert!(played.planes()[played.times.len() - 50..] == wanted[450..], "pictures after the damage differ");
    assert_eq!(times[times.len() - 50..], made::pts(&whole[18..].concat(), "v"));
}
