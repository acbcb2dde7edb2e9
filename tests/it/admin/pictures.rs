//! Pictures for tests: good ones of every kind, and files that pretend to be pictures.

use std::io::{Cursor, Write as _};

use image::codecs::gif::GifEncoder;
use image::{ColorType, DynamicImage, Frame, ImageEncoder, ImageFormat, Rgb, RgbImage, RgbaImage};

/// Something that is the same in every run.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % below
    }
}

/// A picture whose corners have different colours: red, green, blue and white, from the top left.
pub fn corners(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| match (x * 2 < width, y * 2 < height) {
        (true, true) => Rgb([220, 20, 20]),
        (false, true) => Rgb([20, 200, 20]),
        (true, false) => Rgb([20, 20, 220]),
        (false, false) => Rgb([255, 255, 255]),
    })
}

/// A picture that does not compress well.
pub fn noise(width: u32, height: u32) -> RgbImage {
    let mut dice = Dice(7);
    RgbImage::from_fn(width, height, |_, _| Rgb([0u8; 3].map(|_| dice.roll(256) as u8)))
}

pub fn encoded(picture: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    DynamicImage::from(picture.clone()).write_to(&mut file, format).expect("it can be written");
    file.into_inner()
}

/// Half red, half transparent with a hidden black.
pub fn transparent_png() -> Vec<u8> {
    let picture = RgbaImage::from_fn(100, 150, |_, y| image::Rgba(if y < 75 { [220, 20, 20, 255] } else { [0; 4] }));
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, ImageFormat::Png).expect("it can be written");
    file.into_inner()
}

/// Two pictures in a GIF; the first one is `corners`.
pub fn animated_gif() -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = GifEncoder::new(&mut file);
    for picture in [corners(100, 150), RgbImage::new(100, 150)] {
        encoder.encode_frame(Frame::new(DynamicImage::from(picture).into_rgba8())).expect("it can be written");
    }
    drop(encoder);
    file
}

/// A chunk of a WebP.
fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut chunk = [&name[..], &(content.len() as u32).to_le_bytes(), content].concat();
    chunk.resize(chunk.len().next_multiple_of(2), 0);
    chunk
}

/// A WebP of these chunks, with a canvas of this size.
fn extended_webp(flags: u8, width: u32, height: u32, chunks: &[Vec<u8>]) -> Vec<u8> {
    let size = |side: u32| (side - 1).to_le_bytes()[..3].to_vec();
    let canvas = [vec![flags, 0, 0, 0], size(width), size(height)].concat();
    let content = [vec![chunk(b"VP8X", &canvas)], chunks.to_vec()].concat().concat();
    chunk(b"RIFF", &[b"WEBP".to_vec(), content].concat())
}

pub fn animated_webp() -> Vec<u8> {
    let still = encoded(&corners(100, 150), ImageFormat::WebP);
    let frame = [vec![0, 0, 0, 0, 0, 0, 99, 0, 0, 149, 0, 0, 100, 0, 0, 0], still[12..].to_vec()].concat();
    extended_webp(2, 100, 150, &[chunk(b"ANIM", &[0; 6]), chunk(b"ANMF", &frame), chunk(b"ANMF", &frame)])
}

/// A WebP that says in a frame that it is much larger than the canvas.
pub fn webp_with_a_huge_frame() -> Vec<u8> {
    let lossy = [&[0x10, 0, 0, 0x9d, 0x01, 0x2a, 0xff, 0x3f, 0xff, 0x3f][..], &[0; 60_000]].concat();
    extended_webp(0, 100, 150, &[chunk(b"VP8 ", &lossy)])
}

/// A PNG with these sides in its header, and these chunks after it.
pub fn png(width: u32, height: u32, chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    for (name, content) in [(b"IHDR", header)].iter().chain(chunks) {
        let named = [&name[..], content].concat();
        file.extend((content.len() as u32).to_be_bytes());
        file.extend(&named);
        file.extend(checksum(&named).to_be_bytes());
    }
    file
}

/// The CRC-32 of PNG.
fn checksum(bytes: &[u8]) -> u32 {
    let step = |sum: u32| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum)))
}

/// Zeros, compressed.
pub fn deflated_zeros(bytes: usize) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..bytes / 1_000_000 {
        encoder.write_all(&[0; 1_000_000]).expect("it can be written");
    }
    encoder.finish().expect("it can be written")
}

/// A segment of a JPEG.
pub fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
    [&[0xff, marker][..], &(content.len() as u16 + 2).to_be_bytes(), content].concat()
}

/// Adds segments behind the first two bytes of a JPEG.
pub fn with_segments(file: &[u8], segments: &[Vec<u8>]) -> Vec<u8> {
    [&file[..2], &segments.concat(), &file[2..]].concat()
}

/// An APP1 segment: the orientation, and a place that must not become known.
pub fn exif(orientation: u8) -> Vec<u8> {
    let entry = |tag: u16, kind: u16, count: u32, value: [u8; 4]| {
        [&tag.to_be_bytes()[..], &kind.to_be_bytes(), &count.to_be_bytes(), &value].concat()
    };
    let directory =
        |entries: &[Vec<u8>]| [&(entries.len() as u16).to_be_bytes()[..], &entries.concat(), &[0; 4]].concat();
    let main = directory(&[entry(0x0112, 3, 1, [0, orientation, 0, 0]), entry(0x8825, 4, 1, 38u32.to_be_bytes())]);
    let place = directory(&[entry(0x0001, 2, 2, *b"N\0\0\0"), entry(0x0012, 2, 4, *b"GPS!")]);
    segment(0xe1, &[b"Exif\0\0MM\0\x2a\0\0\0\x08".to_vec(), main, place].concat())
}

/// How a JPEG of one colour is written.
#[derive(Clone, Copy, PartialEq)]
pub enum Scans {
    One,
    Progressive,
    /// The same scan, this many times.
    Repeated(usize),
}

/// A JPEG of one colour, whose components have these values. `transform` is that of an Adobe segment, as programs write
/// it into CMYK files.
pub fn flat_jpeg(width: u16, height: u16, values: &[u8], transform: Option<u8>, scans: Scans) -> Vec<u8> {
    let is_progressive = scans != Scans::One;
    let each = |rest: &[u8]| (1..=values.len() as u8).flat_map(|id| [&[id], rest].concat()).collect::<Vec<u8>>();
    let mut file = vec![0xff, 0xd8];
    if let Some(transform) = transform {
        file.extend(segment(0xee, &[b"Adobe\0\x64\0\0\0\0".as_slice(), &[transform]].concat()));
    }
    file.extend(segment(0xdb, &[&[0][..], &[8; 64]].concat()));
    let sides = [height.to_be_bytes(), width.to_be_bytes()].concat();
    let frame = [&[8][..], &sides, &[values.len() as u8], &each(&[0x11, 0])].concat();
    file.extend(segment(if is_progressive { 0xc2 } else { 0xc0 }, &frame));
    // The codes of differences: 0000 for none, 0001 for a difference of one bit, and so on. A single code ends a block.
    let differences = [&[0, 0, 0, 0, 9][..], &[0; 12], &[0, 1, 2, 3, 4, 5, 6, 7, 8]].concat();
    file.extend(segment(0xc4, &differences));
    file.extend(segment(0xc4, &[&[0x10, 1][..], &[0; 15], &[0]].concat()));
    let mut bits = Vec::new();
    for block in 0..u32::from(width.div_ceil(8)) * u32::from(height.div_ceil(8)) {
        for value in values {
            let difference = if block == 0 { i32::from(*value) - 128 } else { 0 };
            let size = 32 - difference.unsigned_abs().leading_zeros();
            bits.extend((0..4).rev().map(|bit| size >> bit & 1 == 1));
            let sent = if difference < 0 { difference - 1 } else { difference };
            bits.extend((0..size).rev().map(|bit| sent >> bit & 1 == 1));
            bits.extend((!is_progressive).then_some(false));
        }
    }
    bits.resize(bits.len().next_multiple_of(8), true);
    let byte = |bits: &[bool]| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
    let data: Vec<u8> =
        bits.chunks(8).map(byte).flat_map(|byte| if byte == 0xff { vec![0xff, 0] } else { vec![byte] }).collect();
    let end = if is_progressive { 0 } else { 63 };
    let scan = segment(0xda, &[&[values.len() as u8][..], &each(&[0]), &[0, end, 0]].concat());
    let times = if let Scans::Repeated(times) = scans { times } else { 1 };
    file.extend([scan, data].concat().repeat(times));
    file.extend([0xff, 0xd9]);
    file
}

/// A gray PNG of this size with 16 bits, or with transparency.
pub fn large_png(width: u32, height: u32, kind: ColorType) -> Vec<u8> {
    let mut file = Vec::new();
    let pixels = vec![128; usize::from(kind.bytes_per_pixel()) * width as usize * height as usize];
    image::codecs::png::PngEncoder::new(&mut file)
        .write_image(&pixels, width, height, kind.into())
        .expect("it can be written");
    file
}
