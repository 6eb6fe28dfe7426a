use rillbox_media::*;
use std::io::Write;
fn main() {
    init();
    let a: Vec<String> = std::env::args().collect();
    let data = std::fs::read(&a[1]).unwrap();
    let mut out = std::fs::File::create(&a[2]).unwrap();
    let geometry = if a.len() > 3 { Geometry::Fill { width: 512, height: 512 } } else { Geometry::Source };
    let mut input = Input::new(InputConfig { geometry, ..Default::default() });
    let mut output = Output::new(OutputConfig::default());
    let (mut v, mut au, mut cuts, mut t0) = (0, 0, 0, 0.0);
    let start = std::time::Instant::now();
    let mut media = vec![];
    let mut dec = std::time::Duration::ZERO;
    for chunk in data.chunks(18800) {
        let t = std::time::Instant::now();
        input.push(chunk, &mut |m| media.push(m));
        dec += t.elapsed();
        for m in media.drain(..) { one(m, &mut output, &mut out, &mut v, &mut au, &mut cuts, &mut t0); }
    }
    input.finish(&mut |m| media.push(m));
    for m in media.drain(..) { one(m, &mut output, &mut out, &mut v, &mut au, &mut cuts, &mut t0); }
    output.finish(&mut |e| if let Emit::Bytes(b) = e { out.write_all(&b).unwrap() }).unwrap();
    println!("v {v} a {au} cuts {cuts} in {:?} decode {:?} {:?}", start.elapsed(), dec, input.stats());
}
fn one(m: Media, output: &mut Output, out: &mut std::fs::File, v: &mut u32, au: &mut u32, cuts: &mut u32, _t: &mut f64) {
    let mut emit = |e| match e { Emit::Cut => *cuts += 1, Emit::Bytes(b) => out.write_all(&b).unwrap() };
    match m {
        Media::Tracks(t) => { println!("{t:?}"); output.tracks(t, &mut emit).unwrap() }
        Media::Video(f) => { *v += 1; if *v < 5 { println!("{:?} {} {:?}", f.pts, f.key, f.picture) } output.video(&f, &mut emit).unwrap() }
        Media::Audio(f) => { *au += 1; if *au < 3 { println!("{:?} {} {} {}", f.pts, f.rate, f.layout_name(), f.samples()) } output.audio(&f, &mut emit).unwrap() }
    }
}
